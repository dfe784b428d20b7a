-- Entries of the audit stay as they are. PostgreSQL has rights for that; here it is said by the tables themselves.
CREATE TRIGGER audit_logs_stay BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never changed');
END;
CREATE TRIGGER audit_logs_stay_there BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never deleted');
END;
