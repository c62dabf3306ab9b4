import { writeOperationsPage } from './signals-tables.js';

writeOperationsPage();
