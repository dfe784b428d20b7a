-- An operator sees how much tenants use, and nothing else of them.
CREATE POLICY of_operator ON tenant_usage FOR SELECT USING (current_setting('headwater.operator', true) = 'on');
