import { writeProtocolPage } from './differences-table.js';

writeProtocolPage();
