//! What the store is told, and what it tells the engine.

use super::Error;
use super::credentials::API;
use super::directory::{Directory, write_durably};
use super::sql::quoted_name;
use super::{describe, tenants, watched};
use runtime::config::Secret;
use schemas::limits::store as limits;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that [`super::serve`] needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[data] dir`: the store keeps to `store/` in it.
    pub data_dir: PathBuf,
    /// `[store] listen`: where ClickHouse's HTTP interface is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names, besides the loopback ones and the listen address, under which clients may call it (`Host` header).
    pub hosts: Vec<String>,
    /// `[store] database`, made when it is absent: the default of every request, and all that analysts see.
    pub database: String,
    /// `[store] user`: the stages' user.
    pub user: String,
    /// `[store] password`; generated into the data directory when left out.
    pub password: Option<Secret>,
    /// `[store] api_user`: the API's user, who reads.
    pub api_user: String,
    /// `[store] api_password`; generated likewise.
    pub api_password: Option<Secret>,
    /// `[store] analyst_password`; generated likewise.
    pub analyst_password: Option<Secret>,
    /// Room on the disk that whatever else writes there keeps free, bytes: the embedded log's `min_free_bytes`. Analysts' temporary
    /// files end well before it.
    pub reserve: u64,
    /// The engine's library, when it is not where [`super::locate`] looks.
    pub library: Option<PathBuf>,
    /// `[store] analyst_without_landlock`: on a kernel without Landlock the analysts' user exists all the same.
    pub analyst_without_landlock: bool,
    /// `[store] analyst_contracts`: analysts read which contracts are watched.
    pub analyst_contracts: bool,
    /// What a request may cost.
    pub limits: Limits,
    /// What stands between an analyst and everything else; all of it, but in tests.
    pub walls: Walls,
}

/// The walls around an analyst's statement. Each holds by itself, which tests show with the others switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walls {
    /// The judge of statements.
    pub judge: bool,
    /// The engine's grants.
    pub grants: bool,
    /// Limits that the statement itself cannot raise.
    pub limits: bool,
    /// Landlock: which files the process opens.
    pub landlock: bool,
    /// Seccomp: which system calls it makes.
    pub seccomp: bool,
}

impl Walls {
    /// All of them.
    pub const ALL: Self = Self { judge: true, grants: true, limits: true, landlock: true, seccomp: true };
    /// None of them: only for tests.
    pub const NONE: Self = Self { judge: false, grants: false, limits: false, landlock: false, seccomp: false };
}

impl Config {
    /// The defaults on a data directory: loopback, a free port, database and user `headwater`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            hosts: Vec::new(),
            database: "headwater".to_owned(),
            user: "headwater".to_owned(),
            password: None,
            api_user: API.to_owned(),
            api_password: None,
            analyst_password: None,
            reserve: 0,
            library: None,
            analyst_without_landlock: false,
            analyst_contracts: true,
            limits: Limits::default(),
            walls: Walls::ALL,
        }
    }
}

/// What requests may cost. The engine counts memory itself; what is resident may pass it for a moment.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory of all statements, merges and caches together, bytes.
    pub memory: u64,
    /// Memory of one statement of an analyst, bytes.
    pub analyst_memory: u64,
    /// Time of one statement of an analyst.
    pub analyst_time: Duration,
    /// Rows that one statement of an analyst may read.
    pub analyst_rows: u64,
    /// Statements of analysts that run at the same time; further ones wait, then get 503.
    pub analyst_concurrency: usize,
    /// Memory of one statement of the API, bytes.
    pub api_memory: u64,
    /// Statements of the API that run at the same time.
    pub api_concurrency: usize,
    /// Statements of the stages that run at the same time.
    pub stages_concurrency: usize,
    /// Time of one statement of the stages.
    pub stages_time: Duration,
    /// Largest body of a request, decompressed, bytes.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: limits::MEMORY,
            analyst_memory: limits::ANALYST_MEMORY,
            analyst_time: limits::ANALYST_TIME,
            analyst_rows: limits::ANALYST_ROWS,
            analyst_concurrency: limits::ANALYST_CONCURRENCY,
            api_memory: limits::API_MEMORY,
            api_concurrency: limits::API_CONCURRENCY,
            stages_concurrency: limits::STAGES_CONCURRENCY,
            stages_time: limits::STAGES_TIME,
            body: limits::BODY,
        }
    }
}

/// Writes the engine's configuration and answers the arguments of its first connection.
pub(super) fn engine_arguments(directory: &Directory, config: &Config) -> Result<Vec<String>, Error> {
    let (server, users) = (directory.config().join("engine.xml"), directory.config().join("users.xml"));
    let engine = directory.engine();
    write_durably(&server, &server_xml(&engine.display().to_string(), &users.display().to_string(), &config.limits))?;
    write_durably(&users, &users_xml(&config.database, config.analyst_contracts))?;
    Ok(vec![format!("--path={}", engine.display()), format!("--config-file={}", server.display())])
}

/// Sized for a machine of a few cores that runs the stages too. Inserts and merges are synced: part files, the part's
/// folder, and the outcome of every merge, so that a part whose sources are removed is on disk itself.
///
/// The rest of `merge_tree` halves the CPU of inserts and merges of our wide rows (measured on 210,000 recorded transactions,
/// 66 columns, in inserts of 3,000 to 10,000; `make bench` shows the sum): parts stay one file up to 128 MiB (a wide part has
/// 250 files to fsync), ten parts of a size are merged and not five, nulls are not stored sparsely, no statistics are kept. Skip
/// indexes of a small part are one file more, and not ten.
/// Short granules and few parts a merge, one merge at a time, bound its memory: it holds a granule of each part.
fn server_xml(path: &str, users: &str, limits: &Limits) -> String {
    let (path, users) = (escape(path), escape(users));
    let memory = limits.memory;
    format!(
        r"<clickhouse>
  <path>{path}/</path>
  <tmp_path>{path}/tmp/</tmp_path>
  <user_files_path>{path}/user_files/</user_files_path>
  <format_schema_path>{path}/format_schemas/</format_schema_path>
  <users_config>{users}</users_config>
  <logger><level>fatal</level><console>false</console></logger>
  <timezone>UTC</timezone>
  <mlock_executable>false</mlock_executable>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <merges_mutations_memory_usage_soft_limit>{}</merges_mutations_memory_usage_soft_limit>
  <mark_cache_size>{}</mark_cache_size>
  <primary_index_cache_size>{}</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>64</mmap_cache_size>
  <query_cache><max_size_in_bytes>0</max_size_in_bytes></query_cache>
  <max_thread_pool_size>400</max_thread_pool_size>
  <max_thread_pool_free_size>32</max_thread_pool_free_size>
  <max_io_thread_pool_size>16</max_io_thread_pool_size>
  <max_io_thread_pool_free_size>0</max_io_thread_pool_free_size>
  <max_active_parts_loading_thread_pool_size>8</max_active_parts_loading_thread_pool_size>
  <max_outdated_parts_loading_thread_pool_size>4</max_outdated_parts_loading_thread_pool_size>
  <max_parts_cleaning_thread_pool_size>4</max_parts_cleaning_thread_pool_size>
  <background_pool_size>1</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <max_concurrent_queries>{}</max_concurrent_queries>
  <storage_configuration><disks><default><keep_free_space_bytes>{}</keep_free_space_bytes></default></disks></storage_configuration>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    <min_compressed_bytes_to_fsync_after_merge>1</min_compressed_bytes_to_fsync_after_merge>
    <min_bytes_for_wide_part>134217728</min_bytes_for_wide_part>
    <packed_skip_index_max_bytes>1048576</packed_skip_index_max_bytes>
    <merge_selector_base>10</merge_selector_base>
    <ratio_of_defaults_for_sparse_serialization>1</ratio_of_defaults_for_sparse_serialization>
    <auto_statistics_types></auto_statistics_types>
    <index_granularity_bytes>4194304</index_granularity_bytes>
    <max_parts_to_merge_at_once>16</max_parts_to_merge_at_once>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
",
        memory / 2,
        memory / 16,
        memory / 32,
        limits.stages_concurrency + limits.api_concurrency + limits.analyst_concurrency + 8,
        limits::FREE_DISK_BYTES,
    )
}

/// The engine knows one user. What it holds itself is what an analyst may do; the role `stages` on top is what the stages may, and the role
/// `api` what the API reads besides. A request of the API keeps that one alone, one of an analyst drops both first. Without `contracts` an
/// analyst reads windows of networks alone, and nothing of the columns that are by watched contract ([`watched`]).
fn users_xml(database: &str, contracts: bool) -> String {
    let quoted = |name: &str| escape(&quoted_name(name));
    let (revoked, windows) = match contracts {
        true => (String::new(), String::new()),
        false => {
            let (table, columns) = (quoted(watched::BLOCKS), watched::COLUMNS.join(", "));
            let (name, filter) = (escape(database), escape(&watched::windows()));
            let policy = format!(
                "<database name=\"{name}\"><table name=\"{}\"><filter>{filter}</filter></table></database>",
                watched::WINDOWS
            );
            (format!("<query>REVOKE SELECT({columns}) ON {}.{table}</query>", quoted(database)), policy)
        }
    };
    let policies: String = describe::policies(database, contracts)
        .iter()
        .map(|(table, condition)| format!("<{table}><filter>{}</filter></{table}>", escape(condition)))
        .collect();
    let (described, tenants) = (quoted(&describe::database(database)), quoted(&tenants::database(database)));
    let (database, api) = (quoted(database), tenants::ROLE);
    format!(
        r"<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <roles>
    <stages><grants><query>GRANT ALL ON *.*</query></grants></stages>
    <{api}><grants><query>GRANT SELECT, SHOW ON {database}.*</query><query>GRANT SELECT, SHOW ON {tenants}.*</query></grants></{api}>
  </roles>
  <users>
    <default>
      <password></password>
      <profile>default</profile>
      <quota>default</quota>
      <networks><ip>::/0</ip></networks>
      <grants><query>GRANT SELECT, SHOW ON {database}.*</query>{revoked}<query>GRANT SELECT ON {described}.*</query><query>GRANT stages</query><query>GRANT {api}</query></grants>
      <databases><system>{policies}</system>{windows}</databases>
    </default>
  </users>
</clickhouse>
"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_sql_and_for_xml() {
        let xml = users_xml("a`b<c", true);
        assert!(xml.contains(r"ON `a\`b&lt;c`.*") && !xml.contains("REVOKE"), "{xml}");
        let xml = users_xml("a`b<\"c", false);
        assert!(xml.contains(r"contract_gas_used) ON `a\`b&lt;&quot;c`.`block_rows`"), "{xml}");
        assert!(xml.contains(r#"<database name="a`b&lt;&quot;c"><table name="window_rows">"#), "{xml}");
        assert!(server_xml("/d&d", "/u", &Limits::default()).contains("<path>/d&amp;d/</path>"));
    }
}
