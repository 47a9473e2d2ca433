-- The log of the catalogue in words, and two views of it. Running it again changes nothing.
CREATE TABLE IF NOT EXISTS control_plane.audit_log (
    id BIGINT PRIMARY KEY,
    created_at TIMESTAMPTZ NOT NULL,
    created_by TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    action TEXT NOT NULL,
    project_id TEXT,
    target TEXT,
    backup_id UUID,
    message TEXT NOT NULL,
    change TEXT,
    row_digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_audit_log_project_created ON control_plane.audit_log (project_id, created_at DESC);

-- Everything that was done with backups.
CREATE OR REPLACE VIEW control_plane.project_logs AS
    SELECT id, project_id, level, action, message, target, backup_id, created_by, created_at
    FROM control_plane.audit_log;

-- What changed how backups are kept and used: plans, holds, approvals, keys.
CREATE OR REPLACE VIEW control_plane.config_change_history AS
    SELECT id, project_id, target, backup_id, change, message AS reason, created_by AS changed_by, created_at AS changed_at
    FROM control_plane.audit_log WHERE change IS NOT NULL;
