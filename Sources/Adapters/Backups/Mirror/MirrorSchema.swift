/// The tables that the catalogue is mirrored to, as numbered files that an owner may run by his own tool.
public enum MirrorSchema {
    /// One file.
    public struct Migration: Sendable, Hashable {
        /// Its name.
        public var name: String
        /// Its statements; running them again changes nothing.
        public var sql: String
    }

    /// All files, in the order in which they are run.
    public static let migrations = [
        Migration(name: "009_create_backups_table.sql", sql: backups),
        Migration(name: "010_create_audit_log.sql", sql: audit),
    ]

    private static let backups = """
        -- The tables that the catalogue of backups is mirrored to. Running it again changes nothing.
        CREATE SCHEMA IF NOT EXISTS control_plane;

        -- One row for each backup that was begun and has neither failed nor been deleted.
        CREATE TABLE IF NOT EXISTS control_plane.backups (
            id UUID PRIMARY KEY,
            project_id TEXT NOT NULL,
            type TEXT NOT NULL CHECK (type IN ('database', 'storage', 'logs')),
            file_id TEXT,
            size BIGINT CHECK (size >= 0),
            created_at TIMESTAMPTZ NOT NULL,
            expires_at TIMESTAMPTZ,
            created_by TEXT NOT NULL,
            purpose TEXT,
            label TEXT,
            target TEXT NOT NULL,
            kind TEXT NOT NULL,
            status TEXT NOT NULL,
            rollout_id TEXT,
            release_version TEXT,
            retention_class TEXT NOT NULL,
            legal_hold BOOLEAN NOT NULL,
            locked_until TIMESTAMPTZ,
            sha256_plain TEXT,
            sha256_stored TEXT,
            size_plain BIGINT,
            compression TEXT,
            encryption TEXT,
            key_ids TEXT,
            copies JSONB NOT NULL,
            tool TEXT,
            server_version TEXT,
            system_identifier TEXT,
            timeline INTEGER,
            lsn_start TEXT,
            lsn_stop TEXT,
            consistent_at TIMESTAMPTZ,
            schema_revision TEXT,
            finished_at TIMESTAMPTZ,
            verified_at TIMESTAMPTZ,
            drilled_at TIMESTAMPTZ,
            error_message TEXT,
            row_digest TEXT NOT NULL
        );
        CREATE INDEX IF NOT EXISTS idx_backups_project_id ON control_plane.backups (project_id);
        CREATE INDEX IF NOT EXISTS idx_backups_created_at ON control_plane.backups (created_at);
        CREATE INDEX IF NOT EXISTS idx_backups_project_created ON control_plane.backups (project_id, created_at DESC);
        CREATE INDEX IF NOT EXISTS idx_backups_type ON control_plane.backups (type);
        CREATE INDEX IF NOT EXISTS idx_backups_expires_at ON control_plane.backups (expires_at);

        -- What stays of those that failed or were deleted.
        CREATE TABLE IF NOT EXISTS control_plane.backup_tombstones (
            LIKE control_plane.backups INCLUDING CONSTRAINTS,
            deleted_at TIMESTAMPTZ,
            deleted_by TEXT,
            deleted_reason TEXT,
            PRIMARY KEY (id)
        );

        -- What is done at length: backups, restores, verifications, drills.
        CREATE TABLE IF NOT EXISTS control_plane.jobs (
            id UUID PRIMARY KEY,
            type TEXT NOT NULL,
            project_id TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'stuck')),
            error_message TEXT,
            created_at TIMESTAMPTZ NOT NULL,
            updated_at TIMESTAMPTZ NOT NULL,
            heartbeat_at TIMESTAMPTZ,
            created_by TEXT NOT NULL,
            target TEXT NOT NULL,
            backup_id UUID,
            worker TEXT,
            stage TEXT,
            bytes_done BIGINT,
            bytes_total BIGINT,
            row_digest TEXT NOT NULL
        );
        CREATE INDEX IF NOT EXISTS idx_jobs_project_created ON control_plane.jobs (project_id, created_at DESC);
        CREATE INDEX IF NOT EXISTS idx_jobs_status ON control_plane.jobs (status);

        """

    private static let audit = """
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

        """
}
