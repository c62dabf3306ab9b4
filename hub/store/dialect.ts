import type { ColumnDataType, ColumnDefinitionBuilder, CreateTableBuilder } from 'kysely';

/**
 * What differs between the SQL engines in a table definition; queries differ in nothing. The SQLite side is `sqlite.ts`.
 * Columns hold: text for names and JSON, `bigint` for counters and epoch milliseconds, `bytes` for binary, 0/1 integers for
 * booleans.
 */
export interface SqlTypes {
  /** Column type of binary data. */
  readonly bytes: ColumnDataType;
  /** Adds a primary key that the database counts up itself and never uses twice. */
  identity<T extends string, C extends string, K extends string>(table: CreateTableBuilder<T, C>, column: K): CreateTableBuilder<T, C | K>;
}

type DefineColumn = (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;

/** `not null`, the usual case. */
export const required: DefineColumn = (column) => column.notNull();
