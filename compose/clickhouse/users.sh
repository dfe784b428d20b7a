#!/bin/bash
# Headwater's three users on a ClickHouse server, as docs/clients.md has them ("A ClickHouse server of your own"). The image runs this
# once, when its volume is empty.
set -euo pipefail

clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" --multiquery <<SQL
CREATE DATABASE IF NOT EXISTS headwater;
CREATE DATABASE IF NOT EXISTS headwater_tenants;

CREATE USER headwater IDENTIFIED BY '$HEADWATER_STORE_PASSWORD';
GRANT SELECT, INSERT, CREATE, ALTER, DROP TABLE, DROP VIEW ON headwater.* TO headwater;
GRANT SELECT, INSERT, CREATE, ALTER, DROP TABLE, DROP VIEW ON headwater_tenants.* TO headwater;

CREATE SETTINGS PROFILE headwater_api SETTINGS
    readonly = 2,
    max_execution_time = 30 MIN 1 MAX 30,
    max_memory_usage = 134217728 MIN 1 MAX 134217728,
    max_memory_usage_for_user = 805306368 MIN 1 MAX 805306368,
    max_threads = 2 MIN 1 MAX 2,
    max_concurrent_queries_for_user = 64 MIN 1 MAX 64;
CREATE USER api IDENTIFIED BY '$HEADWATER_API_PASSWORD' SETTINGS PROFILE headwater_api;
GRANT SELECT, SHOW ON headwater.* TO api;
GRANT SELECT, SHOW ON headwater_tenants.* TO api;

CREATE SETTINGS PROFILE headwater_analyst SETTINGS
    readonly = 2,
    allow_ddl = 0 CONST,
    allow_introspection_functions = 0 CONST,
    use_skip_indexes_if_final_exact_mode = 1 CONST,
    max_execution_time = 60 MIN 1 MAX 60,
    max_memory_usage = 536870912 MIN 1 MAX 536870912,
    max_memory_usage_for_user = 2147483648 MIN 1 MAX 2147483648,
    max_rows_to_read = 100000000 MIN 1 MAX 100000000,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_threads = 4 MIN 1 MAX 4,
    max_temporary_data_on_disk_size_for_query = 1073741824 MIN 1 MAX 1073741824,
    max_concurrent_queries_for_user = 4 MIN 1 MAX 4;
CREATE USER analyst IDENTIFIED BY '$HEADWATER_ANALYST_PASSWORD' SETTINGS PROFILE headwater_analyst;
GRANT SELECT, SHOW ON headwater.* TO analyst;
SQL
