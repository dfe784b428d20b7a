-- Which flush of a process was the last whose sums are in `tenant_usage`.
CREATE TABLE usage_flushes (
    instance TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX tenant_usage_by_period ON tenant_usage (period_start, tenant_id);
