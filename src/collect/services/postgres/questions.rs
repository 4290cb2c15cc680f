//! What is asked of PostgreSQL. No question gives the text of a query, an address of a client, or a row of a user's table.

/// A question about the server.
pub(super) struct Question {
    /// Name of the artifact.
    pub(super) id: &'static str,
    pub(super) sql: &'static str,
}

const fn ask(id: &'static str, sql: &'static str) -> Question {
    Question { id, sql }
}

/// All questions, the most telling first.
pub(super) const QUESTIONS: [Question; 12] = [
    ask(
        "server",
        "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_num, \
         pg_is_in_recovery() AS in_recovery, pg_postmaster_start_time() AS started, clock_timestamp() AS now, \
         current_database() AS database, current_setting('max_connections')::int AS max_connections, \
         current_setting('superuser_reserved_connections')::int AS reserved_connections, \
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections, \
         pg_has_role(current_user, 'pg_monitor', 'member') AS monitor",
    ),
    ask(
        "activity",
        "SELECT coalesce(state, 'hidden') AS state, wait_event_type, count(*) AS sessions, \
         max(extract(epoch FROM clock_timestamp() - state_change))::bigint AS longest_state_s, \
         max(extract(epoch FROM clock_timestamp() - xact_start))::bigint AS longest_transaction_s \
         FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1, 2 ORDER BY 3 DESC",
    ),
    ask(
        "blockers",
        "WITH a AS (SELECT *, pg_blocking_pids(pid) AS blocked_by FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) \
         SELECT pid, usename AS role, application_name AS application, state, wait_event_type, wait_event, blocked_by, \
         extract(epoch FROM clock_timestamp() - state_change)::bigint AS state_s, \
         extract(epoch FROM clock_timestamp() - xact_start)::bigint AS transaction_s, md5(query) AS query_md5 \
         FROM a WHERE cardinality(blocked_by) > 0 OR state LIKE 'idle in transaction%' \
         OR pid IN (SELECT unnest(blocked_by) FROM a) ORDER BY transaction_s DESC NULLS LAST, pid",
    ),
    ask(
        "locks",
        "SELECT locktype, mode, granted, count(*) AS locks FROM pg_locks WHERE pid <> pg_backend_pid() \
         GROUP BY 1, 2, 3 ORDER BY 3, 4 DESC",
    ),
    ask(
        "databases",
        "SELECT s.datname AS database, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, deadlocks, conflicts, \
         temp_files, temp_bytes, checksum_failures, stats_reset, age(d.datfrozenxid) AS frozen_age, \
         CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'member') \
         THEN pg_database_size(d.oid) END AS bytes \
         FROM pg_stat_database s JOIN pg_database d ON d.oid = s.datid ORDER BY s.datname",
    ),
    ask(
        "replication",
        "SELECT application_name AS application, state, sync_state, extract(epoch FROM replay_lag)::double precision AS replay_lag_s, \
         CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint END AS behind_bytes \
         FROM pg_stat_replication ORDER BY 1",
    ),
    ask(
        "recovery",
        // A primary that writes nothing makes no standby late: only what was received and not applied counts.
        "SELECT pg_is_in_recovery() AS in_recovery, CASE WHEN NOT pg_is_in_recovery() THEN NULL \
         WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
         ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::bigint END AS behind_s, \
         extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::bigint AS last_change_s, \
         pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint AS not_applied_bytes, \
         CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS replay_paused, \
         (SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' OR status IS NULL) AS receivers",
    ),
    ask(
        "slots",
        "SELECT slot_name AS slot, slot_type AS type, active, wal_status, \
         CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END AS held_bytes \
         FROM pg_replication_slots ORDER BY 1",
    ),
    ask(
        "tables",
        "SELECT schemaname AS schema, relname AS name, n_live_tup, n_dead_tup, n_mod_since_analyze, last_vacuum, last_autovacuum, \
         last_autoanalyze, seq_scan, idx_scan, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables \
         ORDER BY pg_total_relation_size(relid) DESC LIMIT 50",
    ),
    ask("archiver", "SELECT archived_count, last_archived_time, failed_count, last_failed_time FROM pg_stat_archiver"),
    ask(
        "settings",
        "SELECT name, setting, unit, source, pending_restart FROM pg_settings WHERE name IN ('autovacuum', \
         'autovacuum_freeze_max_age', 'checkpoint_timeout', 'deadlock_timeout', 'default_transaction_isolation', \
         'effective_cache_size', 'fsync', 'full_page_writes', 'hot_standby', 'idle_in_transaction_session_timeout', \
         'lock_timeout', 'log_min_duration_statement', 'maintenance_work_mem', 'max_connections', 'max_locks_per_transaction', \
         'max_prepared_transactions', 'max_replication_slots', 'max_slot_wal_keep_size', 'max_wal_senders', 'max_wal_size', \
         'max_worker_processes', 'password_encryption', 'port', 'shared_buffers', 'ssl', 'statement_timeout', \
         'superuser_reserved_connections', 'synchronous_commit', 'tcp_keepalives_idle', 'temp_file_limit', \
         'track_activities', 'wal_level', 'work_mem') ORDER BY name",
    ),
    ask("extensions", "SELECT extname AS name, extversion AS version FROM pg_extension ORDER BY 1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_question_gives_what_must_not_be_kept() {
        for question in &QUESTIONS {
            let sql = question.sql.to_ascii_lowercase();
            assert!(sql.starts_with("select ") || sql.starts_with("with "), "{}", question.id);
            let without_digest = sql.replace("md5(query)", "").replace("query_md5", "");
            for word in ["query", "client_addr", "client_hostname", "conninfo", "passw", "pg_authid", ";", "reset_val"]
            {
                let allowed = word == "passw" && question.id == "settings";
                assert!(allowed || !without_digest.contains(word), "{} asks for {word}", question.id);
            }
        }
    }
}
