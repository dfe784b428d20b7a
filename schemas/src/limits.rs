//! Every size and count limit of the product, in one file. Bytes unless the name says otherwise.

pub mod accounts;
pub mod alerts;
pub mod bitcoin;
pub mod conditions;
pub mod evidence;
pub mod metrics;
pub mod people;
pub mod quotas;
pub mod traces;
pub mod windows;

/// Length of a network's slug.
pub const NETWORK_SLUG_BYTES: usize = 64;
/// Recent live blocks that ingest keeps per network, so the deepest reorg that it walks back by itself, in blocks.
pub const REORG_LIMIT_BLOCKS: u64 = 256;
/// Requests of one network that are not over, at most; more are refused.
pub const OPEN_REQUESTS: usize = 64;
/// Requests in the log that one process knows of, whatever their state and network; more are passed over.
pub const REQUESTS: usize = 4_096;
/// Watched addresses that one process knows of, of all networks, those included that were removed while it ran; more are passed over.
pub const WATCHED: usize = 500_000;
/// Requests of one network that are over and still told of in its checkpoint.
pub const ENDED_REQUESTS: usize = 16;
/// Height ranges that one network's checkpoint holds, at most: back-fill that would make more waits until ranges join.
pub const HELD_RANGES: usize = 1_024;
/// Milliseconds since 1970 that no block time reaches: the year 2262, where the store's times end in every precision.
pub const BLOCK_TIME_END_MS: i64 = 9_214_646_400_000;
/// One record's value in the log. A larger one goes to `dead.letters` and a placeholder takes its place.
pub const RECORD_VALUE_BYTES: usize = 8 << 20;
/// Decoded arguments of one call or of one event, as JSON; and all inner calls of one call. What takes more stays raw.
pub const ARGUMENTS_BYTES: usize = 64 << 10;
/// The least that the embedded log may be allowed to take: its engine has journals and buffers of about half of that.
pub const LOG_BYTES_LEAST: u64 = 256 << 20;
/// Records into which the original bytes of one dead letter may be cut. More are not kept.
pub const DEAD_LETTER_PARTS: usize = 64;
/// The words of a dead letter's failure.
pub const DEAD_LETTER_ERROR_BYTES: usize = 4 << 10;
/// Sum of record values in one transaction of the log, after which ingest starts the next.
pub const TRANSACTION_BYTES: usize = 32 << 20;
/// Sum of record values in one transaction that the log takes; a single block event may exceed [`TRANSACTION_BYTES`].
pub const TRANSACTION_BYTES_MAX: usize = 256 << 20;
/// Records without usable headers that wait, per partition, for the event behind them: count and bytes. More are counted and
/// passed over without a dead letter.
pub const FOREIGN_RECORDS: usize = 1_000;
/// Their bytes.
pub const FOREIGN_BYTES: usize = 8 << 20;
/// One record's key in the log.
pub const RECORD_KEY_BYTES: usize = 4 << 10;
/// Names and values of one record's headers in the log.
pub const RECORD_HEADERS_BYTES: usize = 16 << 10;
/// Segment of a compacted topic over Kafka: the newest one is never compacted, so that much is read at a takeover besides what
/// counts. Twice the largest record, at least.
pub const COMPACTED_SEGMENT_BYTES: usize = 16 << 20;
/// The longest that a record of a compacted topic stays uncompacted over Kafka, and that a tombstone is kept. Readers must be
/// through sooner.
pub const COMPACTED_WITHIN: std::time::Duration = std::time::Duration::from_secs(3600);
/// Records and bytes that reading a partition's state holds at a time …
pub const STATE_POLL_RECORDS: usize = 4_096;
/// … their values.
pub const STATE_POLL_BYTES: usize = 4 << 20;
/// Partitions whose state one ingest process reads at the same time.
pub const STATE_READERS: usize = 16;
/// Threads on which one process asks a Kafka cluster questions, and questions that wait for one.
pub const KAFKA_QUESTIONS: (usize, usize) = (16, 4_096);
/// Answer of a chain node to one call.
pub const NODE_ANSWER_BYTES: usize = 64 << 20;
/// Frame of a node's WebSocket: headers only come that way.
pub const NODE_WS_FRAME_BYTES: usize = 1 << 20;
/// Receipts asked for in one JSON-RPC batch, where a node gives them one by one.
pub const NODE_RECEIPTS_PER_BATCH: usize = 25;
/// Such batches at a time; single calls are twice as many.
pub const NODE_RECEIPT_BATCHES: usize = 4;
/// Heights that one JSON-RPC batch asks for, at the most, where blocks come far below the head.
pub const NODE_HEIGHTS_PER_BATCH: usize = 16;
/// What the answer to such a batch is to be at most, in bytes, by what blocks took of late: large blocks come by themselves …
pub const NODE_BATCH_BYTES: usize = 1 << 20;
/// … and what it may be before it is cut off.
pub const NODE_BATCH_ANSWER_BYTES: usize = 8 << 20;
/// Blocks that are asked for at a time, of those that one question is about, where an endpoint takes no batches.
pub const NODE_HEIGHTS_SINGLY: usize = 4;
/// The longest wait that a node's `Retry-After` can ask for.
pub const NODE_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(300);
/// Block events waiting between the watchers of a partition and its publisher.
pub const INGEST_QUEUE_EVENTS: usize = 128;
/// Their values, KiB.
pub const INGEST_QUEUE_KIB: usize = 24 << 10;
/// What all queues of one ingest process hold together beyond [`INGEST_QUEUE_OWN_KIB`] each, KiB.
pub const INGEST_SHARED_KIB: usize = 192 << 10;
/// What a partition's queue may hold whatever the others hold, KiB; one block event of any size at least.
pub const INGEST_QUEUE_OWN_KIB: usize = 1 << 10;
/// Blocks that one ingest process fetches at the same time beyond one for each network; as many small ones as come in one batch
/// ([`NODE_BATCH_BYTES`]) count as one.
pub const INGEST_FETCHES: usize = 32;
/// The same for back-fill.
pub const INGEST_FILL_FETCHES: usize = 16;
/// Block events of back-fill that wait for the log, per network: what a live block may find before it.
pub const INGEST_FILL_QUEUE: usize = 64;
/// Records of transactions that readers of a partition may have before them while back-fill goes on: what a live block may find before it
/// on its way to its rows.
pub const FILL_AHEAD_RECORDS: u64 = 8_192;
/// Linked blocks that one word of another operator vouches for while a network catches up; as many wait for it.
pub const INGEST_VOUCHED_BLOCKS: usize = 16;
/// Their transactions; one block of any size at least.
pub const INGEST_VOUCHED_TRANSACTIONS: usize = 4_096;
/// Bytes of records that a stage's partitions hold together while they wait for the other topic; then each keeps no more than
/// [`EVENTS_OWN_BYTES`] per topic.
pub const EVENTS_BYTES: usize = 128 << 20;
/// What a partition's topic may hold then. One event is always held whole.
pub const EVENTS_OWN_BYTES: usize = 512 << 10;
/// Heights in a row at which a chain may have no block (Filecoin's null rounds).
pub const HEIGHTS_WITHOUT_BLOCK: u64 = 256;
/// Blocks of a new branch that must have been fetched before the first revert is written, where the branch is that long.
pub const REORG_AHEAD_BLOCKS: usize = 16;
/// Samples of endpoints that wait for the log. More are dropped and counted: no call of a node waits for them.
pub const SAMPLES_QUEUE: usize = 4_096;
/// Samples in one transaction of the log.
pub const SAMPLES_BATCH: usize = 1_024;
/// Samples of a partition that are read back by who wants the last states: they are repeated with every probe.
pub const SAMPLES_READ_BACK: u64 = 5_000;
/// Networks of which the API remembers what it counted for completeness: at most 0.5 MB each, 0.1 MB as a rule.
pub const COMPLETENESS_NETWORKS: usize = 256;
/// States of endpoints that a process remembers, of all observers together.
pub const PROVIDER_STATES: usize = 20_000;
/// Rows of one answer with an endpoint's history.
pub const PROVIDER_HISTORY_ROWS: u32 = 20_000;
/// An error, a reason, or what was said, in a sample: characters.
pub const SAMPLE_TEXT_CHARACTERS: usize = 1_000;
/// Networks in one configuration.
pub const NETWORKS: usize = 1_000;
/// Endpoints of one network.
pub const ENDPOINTS_PER_NETWORK: usize = 64;
/// Name of an endpoint, in characters.
pub const ENDPOINT_NAME_CHARACTERS: usize = 64;
/// Name of an operator of endpoints, in characters.
pub const OPERATOR_CHARACTERS: usize = 64;
/// Time between two probes of an endpoint: the least and the most that can be configured.
pub const PROBE_EVERY: (std::time::Duration, std::time::Duration) =
    (std::time::Duration::from_secs(1), std::time::Duration::from_secs(3_600));
/// How long a liar must agree with the others, likewise.
pub const QUARANTINE: (std::time::Duration, std::time::Duration) =
    (std::time::Duration::from_secs(1), std::time::Duration::from_secs(7 * 86_400));
/// How long others have to confirm a block, likewise.
pub const CONFIRM_WITHIN: (std::time::Duration, std::time::Duration) =
    (std::time::Duration::from_millis(100), std::time::Duration::from_secs(60));
/// Requests in a configured rate.
pub const RATE_REQUESTS: u32 = 1_000_000;
/// Names under which one port may be called besides its own.
pub const HOSTS: usize = 64;
/// Sites whose pages may call the API.
pub const ORIGINS: usize = 64;
/// The least length of a password of a store that other machines reach, in characters.
pub const PASSWORD_CHARACTERS: usize = 12;
/// Transactions in one block.
pub const TRANSACTIONS_PER_BLOCK: usize = 100_000;
/// Items of a REST list, at most.
pub const PAGE_ITEMS_MAX: u32 = 1_000;
/// Items of a REST list by default.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Rows of an export: at most, and by default.
pub const EXPORT_ROWS: (u32, u32) = (1_000_000, 100_000);
/// Rows of an export that are read at once, which is what it holds.
pub const EXPORT_PART_ROWS: u32 = 10_000;
/// Exports of one API process at the same time …
pub const EXPORTS: usize = 8;
/// … of them of one caller …
pub const EXPORTS_OF_ONE: usize = 2;
/// … and of them such as ask the store at the same moment: the API has `store::API_CONCURRENCY` turns there, and lists want some.
pub const EXPORT_STATEMENTS: usize = 2;
/// How long an export may take, and how long its client may take nothing of it.
pub const EXPORT_TIME: std::time::Duration = std::time::Duration::from_secs(1_800);
/// See [`EXPORT_TIME`].
pub const EXPORT_STALL: std::time::Duration = std::time::Duration::from_secs(60);
/// ABIs that an API process has prepared for decoding what is read, and the characters of their texts.
pub const PREPARED_ABIS: usize = 1_024;
/// See [`PREPARED_ABIS`].
pub const PREPARED_ABI_CHARACTERS: u64 = 16 << 20;
/// Functions that one name may stand for in a request, and ABIs of contracts of one's own that are looked into for them.
pub const METHODS_OF_A_NAME: (usize, u32) = (64, 64);
/// A function's signature, as it is written in a request, in bytes.
pub const SIGNATURE_BYTES: usize = 1_024;
/// WebSocket connections of one API process.
pub const WS_CONNECTIONS: usize = 10_000;
/// Subscriptions of one WebSocket connection.
pub const WS_SUBSCRIPTIONS: usize = 64;
/// A text frame from a WebSocket client.
pub const WS_CLIENT_FRAME_BYTES: usize = 16 << 10;
/// Networks of proxies that are believed.
pub const TRUSTED_PROXIES: usize = 64;
/// Keys and addresses whose requests one process counts; the coldest are forgotten first, and begin anew.
pub const RATE_CALLERS: usize = 100_000;
/// Attempts to log in of one address, a minute.
pub const LOG_INS: u32 = 10;
/// How long a session of the page lasts.
pub const SESSION: std::time::Duration = std::time::Duration::from_secs(12 * 3_600);
/// How often it is looked whether who opened a WebSocket still may. With `control::KEY_FRESH` and `control::KEY_LOOK_UP` it is 5 s.
pub const SESSION_LOOK: std::time::Duration = std::time::Duration::from_secs(1);
/// Sessions that were ended by hand, which one process remembers.
pub const ENDED_SESSIONS: usize = 10_000;
/// Body of a REST request.
pub const HTTP_BODY_BYTES: usize = 1 << 20;

/// The embedded store and its HTTP interface.
pub mod store {
    use std::time::Duration;

    /// Memory of all statements, merges and caches of the engine together: what analysts and the API may take at once, and a GiB
    /// that no reader can take, for what the sink writes, for merges and caches.
    pub const MEMORY: u64 =
        ANALYST_CONCURRENCY as u64 * ANALYST_MEMORY + API_CONCURRENCY as u64 * API_MEMORY + STAGES_MEMORY;
    /// What is left of [`MEMORY`] when every reader has what it may take.
    pub const STAGES_MEMORY: u64 = 1 << 30;
    /// Resident memory of the store's process, beyond [`MEMORY`], at which analysts' statements are ended, since the engine counts
    /// not all that its code takes …
    pub const MEMORY_BEYOND: u64 = 512 << 20;
    /// … and at which the process ends itself, and is started again.
    pub const MEMORY_FAR_BEYOND: u64 = 1 << 30;
    /// Data that the kernel lets the process have beyond [`MEMORY`], a bound on what it may ask for before it is resident: stacks
    /// and what the allocator keeps, untouched for the most part.
    pub const MEMORY_ADDRESSES: u64 = 3 << 30;
    /// How often readers' statements are ended while it stays beyond: what was ended needs a moment to give back what it held.
    pub const MEMORY_ENDS: Duration = Duration::from_secs(1);
    /// How often resident memory is looked at.
    pub const MEMORY_LOOK: Duration = Duration::from_millis(100);
    /// How long after a statement was told to end it may go on before the store's process ends with it.
    pub const END_WITHIN: Duration = Duration::from_secs(8);
    /// The same for a statement that writes, whose end waits for the disk.
    pub const END_WRITING_WITHIN: Duration = Duration::from_secs(120);
    /// How long a client that does not read is waited for once its statement was told to end …
    pub const LAST_WORDS_TIME: Duration = Duration::from_secs(1);
    /// … and after which its connection is closed.
    pub const CLOSE_WITHIN: Duration = Duration::from_secs(10);
    /// Memory of one statement of an analyst.
    pub const ANALYST_MEMORY: u64 = 512 << 20;
    /// Time of one statement of an analyst.
    pub const ANALYST_TIME: Duration = Duration::from_secs(60);
    /// Rows that one statement of an analyst may read.
    pub const ANALYST_ROWS: u64 = 100_000_000;
    /// Rows that one statement of an analyst may give.
    pub const ANALYST_RESULT_ROWS: u64 = 1_000_000;
    /// Threads of one statement of an analyst.
    pub const ANALYST_THREADS: u64 = 4;
    /// Room on the disk that the engine leaves free: an insert or a merge that would pass it is refused before it writes, for
    /// one that meets a full disk half-way may leave a part that cannot be read.
    pub const FREE_DISK_BYTES: u64 = 128 << 20;
    /// Temporary files of one statement of an analyst. All of them together are [`ANALYST_CONCURRENCY`] times that.
    pub const ANALYST_TEMPORARY_BYTES: u64 = 1 << 30;
    /// Room that analysts' temporary files leave free beyond what the log and the store themselves keep free.
    pub const TEMPORARY_MARGIN_BYTES: u64 = 512 << 20;
    /// How often the room on the disk is looked at while analysts have temporary files.
    pub const DISK_LOOK: Duration = Duration::from_millis(500);
    /// Statements of analysts that run at the same time.
    pub const ANALYST_CONCURRENCY: usize = 4;
    /// Memory of one statement of the API.
    pub const API_MEMORY: u64 = 128 << 20;
    /// Time of one statement of the API, whatever it asks for.
    pub const API_TIME: Duration = Duration::from_secs(30);
    /// Threads of one statement of the API.
    pub const API_THREADS: u64 = 2;
    /// Statements of the API that run at the same time, of all its processes.
    pub const API_CONCURRENCY: usize = 6;
    /// Statements of the stages that run at the same time.
    pub const STAGES_CONCURRENCY: usize = 16;
    /// Connections to the engine that wait for the stages' next statements.
    pub const STAGES_KEPT: usize = STAGES_CONCURRENCY;
    /// Connections to the engine that wait for the API's next statements.
    pub const API_KEPT: usize = 2 * API_CONCURRENCY;
    /// How long a connection waits for its next statement, and how long it is used at all.
    pub const KEPT_IDLE: Duration = Duration::from_secs(120);
    /// See there.
    pub const KEPT_AGE: Duration = Duration::from_secs(600);
    /// Time of one statement of the stages, the sending of its data and the reading of its result included.
    pub const STAGES_TIME: Duration = Duration::from_secs(600);
    /// Time that a statement waits for its turn before it is answered with 503.
    pub const QUEUE_TIME: Duration = Duration::from_secs(10);
    /// Statements that wait for their turn, per user.
    pub const QUEUE_LENGTH: usize = 64;
    /// The same for the API, whose processes ask for many things at a time.
    pub const API_QUEUE_LENGTH: usize = 192;
    /// Body of a request, decompressed.
    pub const BODY: u64 = 1 << 30;
    /// Text of a statement, with data that stands in it.
    pub const STATEMENT_BYTES: usize = 16 << 20;
    /// Text of an analyst's statement.
    pub const ANALYST_STATEMENT_BYTES: usize = 256 << 10;
    /// Parameters and settings of a request.
    pub const REQUEST_PARAMETERS: usize = 1_000;
    /// Result in a format that cannot be sent piece by piece (JSON, Parquet, …), in the engine's own bytes.
    pub const WHOLE_RESULT_BYTES: u64 = 256 << 20;
    /// One block of ClickHouse's own compression, decompressed. Clients send far smaller ones.
    pub const COMPRESSED_BLOCK_BYTES: usize = 256 << 20;
    /// Depth of brackets in an analyst's statement.
    pub const ANALYST_BRACKETS: usize = 1_000;
    /// Body of an analyst's request, as it comes.
    pub const ANALYST_BODY_BYTES: usize = 1 << 20;
    /// Time for it to come.
    pub const ANALYST_BODY_TIME: Duration = Duration::from_secs(10);
    /// The value of one setting of an analyst.
    pub const ANALYST_SETTING_BYTES: usize = 8 << 10;
    /// A client's own id of a statement.
    pub const QUERY_ID_BYTES: usize = 256;
    /// Requests to end statements, at a time.
    pub const KILLS: usize = 2;
    /// Open connections of the stages.
    pub const STAGES_CONNECTIONS: usize = 96;
    /// Open connections of the API's processes.
    pub const API_CONNECTIONS: usize = 256;
    /// Open connections of analysts.
    pub const ANALYST_CONNECTIONS: usize = 128;
    /// Open connections that have not said who they are.
    pub const UNKNOWN_CONNECTIONS: usize = 128;
    /// Time for a connection's first request to arrive.
    pub const FIRST_HEADERS_TIME: Duration = Duration::from_secs(5);
    /// Time for a later request's headers to arrive, and how long a connection may be idle.
    pub const HEADERS_TIME: Duration = Duration::from_secs(30);
    /// Silence after which a body that is being sent or read ends the request.
    pub const IDLE_TIME: Duration = Duration::from_secs(120);
    /// From the start of the store's process to its first answer: it may have many parts to load.
    pub const READY_WITHIN: Duration = Duration::from_secs(120);
    /// From SIGTERM to SIGKILL of the store's process.
    pub const STOP_WITHIN: Duration = Duration::from_secs(20);
    /// One line of the store's process to its parent.
    pub const CHILD_LINE: u64 = 16 << 10;
}

pub mod finding;

/// Simulated chain nodes.
pub mod simulator {
    /// Body of a request or WebSocket message.
    pub const BODY_BYTES: usize = 1 << 20;
    /// Calls in one batch.
    pub const BATCH_CALLS: usize = 200;
    /// Calls in one batch to a Bitcoin node, which asks for headers so.
    pub const BITCOIN_BATCH_CALLS: usize = 8_192;
    /// Methods that are counted apart.
    pub const METHODS: usize = 64;
    /// Answers of a connection that wait for their time.
    pub const ANSWERS_WAITING: usize = 1_024;
    /// A line without an end, as a fault sends it.
    pub const LONG_LINE_BYTES: usize = 64 << 20;
    /// One answer, batches included.
    pub const ANSWER_BYTES: usize = 256 << 20;
    /// A recorded file.
    pub const RECORDED_FILE_BYTES: u64 = 256 << 20;
    /// WebSockets at a time.
    pub const SOCKETS: usize = 1_024;
    /// Subscriptions of one WebSocket.
    pub const SUBSCRIPTIONS: usize = 32;
    /// Heads that a WebSocket may be behind before it is closed.
    pub const HEADS_BEHIND: usize = 4_096;
    /// Forks ordered over a chain's life.
    pub const ORDERED_FORKS: usize = 65_536;
    /// Heights in one list of canonical blocks.
    pub const LISTED_HEIGHTS: u64 = 100_000;
    /// Transactions whose hashes are kept: of the blocks that were served last.
    pub const KNOWN_TRANSACTIONS: usize = 131_072;
    /// How long an answer may be drawn to take.
    pub const LATENCY: std::time::Duration = std::time::Duration::from_secs(60);
    /// Forged blocks that an endpoint keeps, and that link to each other in a row.
    pub const TALES: usize = 4_096;
}
/// Length of the store's database name.
pub const DATABASE_NAME_BYTES: usize = 64;
/// How long a read from the store may take.
pub const STORE_READ_DEADLINE: std::time::Duration = std::time::Duration::from_secs(15);
/// How long a list goes on looking for rows before it answers with what it has and a cursor.
pub const STORE_LIST_BUDGET: std::time::Duration = std::time::Duration::from_secs(3);
/// Rows that one step of a list may read; a range in which it would be more is looked through in smaller steps.
pub const STORE_LIST_ROWS: u64 = 2_000_000;
/// How long one insert may take before its outcome counts as unknown and the same bytes are sent again.
pub const STORE_WRITE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);
/// How long the store may refuse a batch, though it answers, before the sink takes it apart to find what is refused.
pub const STORE_REFUSES: std::time::Duration = std::time::Duration::from_secs(60);
/// How long a network of which the store refused a block rests before that block is tried again.
pub const STORE_REFUSED_RESTS: std::time::Duration = std::time::Duration::from_secs(300);
/// Heights of which completeness is counted at once and kept.
pub const AUDIT_BUCKET_HEIGHTS: u64 = 1_024;
/// Blocks above such heights after which they are counted; a deeper reorg has them counted again.
pub const AUDIT_OPEN_BLOCKS: u64 = 16;
/// Heights of one partition of the store's rows: the least and the most, multiples of [`AUDIT_BUCKET_HEIGHTS`].
pub const PARTITION_HEIGHTS: (u32, u32) = (1_024, 4_194_304);
/// The shortest and the longest time for which rows can be asked to be kept.
pub const KEEP: (std::time::Duration, std::time::Duration) =
    (std::time::Duration::from_secs(3_600), std::time::Duration::from_secs(36_500 * 86_400));
/// The least that the store's rows may be allowed to take: less than that one partition can be.
pub const STORE_BYTES_LEAST: u64 = 1 << 30;
/// How long before the store reaches its `max_bytes` that is told.
pub const STORE_WARNS: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
/// Rows, of all tables, that the sink inserts at once.
pub const SINK_BATCH_ROWS: usize = 80_000;
/// Bytes of records that the sink works up into one batch: about 20,000 transactions, beyond which nothing is won. It holds at most two
/// batches: one on its way, one filling.
pub const SINK_BATCH_BYTES: usize = 48 << 20;
/// Block events of one page of a replay.
pub const REPLAY_EVENTS: u32 = 256;
/// Transactions of one page of a replay, unless a single block has more.
pub const REPLAY_TRANSACTIONS: u32 = 5_000;
/// Path and query of a REST request.
pub const HTTP_URI_BYTES: usize = 4 << 10;
/// REST requests that one API process works on at the same time.
pub const HTTP_CONCURRENT_REQUESTS: usize = 64;
/// TCP connections of one API process, WebSockets included.
pub const HTTP_CONNECTIONS: usize = WS_CONNECTIONS + 1_000;
/// Block events that an API process keeps for slow WebSocket readers and short resumes, over all networks.
pub const WS_BUFFER_EVENTS: usize = 4_096;
/// Bytes of their records.
pub const WS_BUFFER_BYTES: usize = 32 << 20;
/// Questions of WebSocket replays that one API process asks the store at the same time; others wait.
pub const WS_REPLAYS: usize = 16;
/// Bytes of frames of the past that one API process holds for WebSocket clients, which share them where they can.
pub const WS_REPLAY_BYTES: usize = 64 << 20;
/// Transactions of one page of a replay for a reader that is slow: at least so many, or one block's.
pub const REPLAY_TRANSACTIONS_LEAST: u32 = 64;
/// How far ahead of everything known a resume token may lie and still be waited for, in sequences.
pub const WS_AHEAD_SEQUENCES: u64 = 1_000;
/// Words of a status' detail, in characters.
pub const STATUS_DETAIL_CHARACTERS: usize = 2_000;
/// Processes and networks of which an API process remembers what the stages say, all stages together.
pub const STATUSES: usize = 20_000;
/// Bytes of raw values that enrich works up into one transaction of the log. It holds one batch at a time.
pub const ENRICH_BATCH_BYTES: usize = 8 << 20;
/// Watched contracts whose sums stand in one block's record, at most [`windows::CONTRACTS_BYTES`] of them. Of more that one block touches,
/// those with the fewest transactions are left out, counted in the record and in a metric.
pub const CONTRACTS_PER_BLOCK: usize = 4_096;
pub mod causes;
/// Facts about contracts (rule 14).
pub mod facts {
    use std::time::Duration;

    /// Contracts of one partition of which a process keeps facts. The stage that finds them stops at three quarters of it, the operator's
    /// aside.
    pub const CONTRACTS: usize = 200_000;
    /// Bytes of the texts of ABIs of one partition of which a process keeps what they say. The stage that finds them stops at three
    /// quarters of it.
    pub const ABI_BYTES: usize = 64 << 20;
    /// Entries of one contract's implementations: selectors of a diamond, upgrades. Of more the oldest go.
    pub const IMPLEMENTATIONS: usize = 4_096;
    /// Entries of a contract that nobody but its own logs speaks of, neither a node nor the operator; of more the newest are refused.
    pub const UNCONFIRMED: usize = 256;
    /// Entries of all contracts' implementations: of one partition in a process that reads them, in all in one that finds them, the
    /// operator's aside there. About 100 MB.
    pub const ENTRIES: usize = 500_000;
    /// How many contracts stand behind each other: a proxy, its beacon, what that names, and one more.
    pub const DEPTH: usize = 4;
    /// ABIs that one call or event is tried with.
    pub const ABIS: usize = 16;
    /// Contracts that are looked at for them: the one that is called, or emits, and those behind it.
    pub const WALKED: usize = 16;
    /// Contracts that wait to be looked at, per process; of more the least seen go.
    pub const WAITING: usize = 20_000;
    /// Contracts of which it is remembered that they were looked at, twice that many at most.
    pub const LOOKED_AT: usize = 100_000;
    /// Contracts whose ABI waits to be asked for.
    pub const WAITING_FOR_ABI: usize = 512;
    /// One answer of a contract source: it may hold whole source texts.
    pub const SOURCE_ANSWER_BYTES: usize = 8 << 20;
    /// How long one question to a contract source may take, connecting included.
    pub const SOURCE_DEADLINE: Duration = Duration::from_secs(20);
    /// Contract sources in one file.
    pub const SOURCES: usize = 32;
    /// Answers of contract sources that are kept on disk; of more the oldest go.
    pub const CACHED: usize = 50_000;
    /// Bytes of them.
    pub const CACHED_BYTES: u64 = 512 << 20;
    /// How long it is believed that a contract source has nothing on a contract: people verify them later.
    pub const NOTHING_KEPT: Duration = Duration::from_secs(6 * 3_600);
    /// Questions to nodes that one network may cost a second, and a day, where nothing is configured.
    pub const CALLS: (u32, u64) = (5, 50_000);
    /// Questions a second to a contract source, and a day, where nothing is configured: below what free plans give.
    pub const QUESTIONS: (u32, u64) = (2, 50_000);
    /// How long what has no log of its own (a Safe's implementation, an account's delegation) is believed before it is asked for again.
    pub const ASKED_AGAIN: Duration = Duration::from_secs(3_600);
}
/// The control store (`control/`).
pub mod control {
    use std::time::Duration;

    /// One statement of the control store, connecting included.
    pub const DEADLINE: Duration = Duration::from_secs(5);
    /// Connections of one process to the control store that read (and on PostgreSQL write); SQLite has one more, which writes.
    pub const CONNECTIONS: u32 = 8;
    /// How long SQLite waits for another process that writes.
    pub const BUSY: Duration = Duration::from_secs(4);
    /// The least characters of `[control] secret`.
    pub const SECRET_CHARACTERS: usize = 32;
    /// Keys of one tenant, revoked ones included.
    pub const KEYS: usize = 10_000;
    /// Makers above a key: a key that a key made, and so on.
    pub const KEY_MAKERS: usize = 8;
    /// A key's name, or a contract's, in characters.
    pub const NAME_CHARACTERS: usize = 100;
    /// Networks that one key may be narrowed to.
    pub const KEY_NETWORKS: usize = 100;
    /// The shortest and the longest life that a key can be given; without one it lives until it is revoked.
    pub const KEY_LIFE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_650 * 86_400));
    /// How long the former secret of a rotated key may go on to work.
    pub const KEY_OVERLAP: Duration = Duration::from_secs(7 * 86_400);
    /// Keys that one process remembers, and prefixes that it remembers as nobody's.
    pub const KNOWN_KEYS: (usize, usize) = (10_000, 10_000);
    /// How long what is remembered of a key is believed before the store is asked again. With [`KEY_LOOK_UP`] well below 5 s, within which
    /// a revoked key stops.
    pub const KEY_FRESH: Duration = Duration::from_secs(2);
    /// How long a look-up of a key may take before the store counts as away.
    pub const KEY_LOOK_UP: Duration = Duration::from_secs(1);
    /// How long a key that was good goes on to work while the store is away.
    pub const KEY_WHILE_AWAY: Duration = Duration::from_secs(600);
    /// Look-ups of unknown keys that one process makes at the same time; more are told to come again.
    pub const KEY_LOOK_UPS: usize = 8;
    /// How exactly the last use of a key is kept.
    pub const KEY_USED_EVERY: Duration = Duration::from_secs(60);
    /// Contracts of one tenant.
    pub const CONTRACTS: usize = 100_000;
    /// Labels of one contract, and one label's characters.
    pub const LABELS: (usize, usize) = (16, 64);
    /// An ABI as compact JSON.
    pub const ABI_BYTES: usize = 256 << 10;
    /// A file that holds one: with blanks, or with what a compiler writes around it.
    pub const ABI_FILE_BYTES: usize = 4 << 20;
    /// ABIs of one page of a list, together; a page with more is shorter.
    pub const PAGE_ABI_BYTES: usize = 2 << 20;
    /// Addresses of one look-up of contracts.
    pub const LOOK_UP_ADDRESSES: usize = 64;
    /// Contracts of the configuration file.
    pub const FILE_CONTRACTS: usize = 1_000;
    /// Functions, events and errors of one ABI.
    pub const ABI_ITEMS: usize = 2_000;
    /// Name of an item, of a parameter or of a component in an ABI.
    pub const ABI_NAME_BYTES: usize = 256;
    /// How deep tuples may nest in an ABI.
    pub const ABI_DEPTH: usize = 16;
    /// How deep JSON of a request may nest: an ABI's tuples, each an object in a list, and what is around them.
    pub const JSON_DEPTH: usize = 2 * ABI_DEPTH + 8;
    /// Mistakes of one document that are told.
    pub const MISTAKES: usize = 20;
    /// An idempotency key, in characters.
    pub const IDEMPOTENCY_CHARACTERS: usize = 128;
    /// How long an idempotency key is remembered.
    pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(86_400);
    /// Rows of one page of a list: what it has unless it is asked otherwise, and at most.
    pub const PAGE: (usize, usize) = (50, 1_000);
    /// An actor, an action or a resource that the audit is filtered by, in characters.
    pub const AUDIT_WORD_CHARACTERS: usize = 64;
    /// Entries of the audit that are verified at a time.
    pub const AUDIT_VERIFIED: usize = 1_000;
    /// Rules, monitors, channels and silences of one tenant.
    pub const fn definitions(kind: crate::records::DefinitionKind) -> usize {
        use crate::records::DefinitionKind as K;
        match kind {
            K::Rule => 10_000,
            K::Monitor => 50_000,
            K::Channel | K::Silence => 1_000,
        }
    }
    /// One of them as JSON.
    pub const DEFINITION_BYTES: usize = 512 << 10;
    /// Definitions of one page of a list, together; a page with more is shorter.
    pub const PAGE_DEFINITION_BYTES: usize = 4 << 20;
    /// Why a channel is disabled, in characters.
    pub const DISABLED_CHARACTERS: usize = 500;
    /// How long the link of a message that acknowledges its alert is good.
    pub const ACK_TOKEN_GOOD: Duration = Duration::from_secs(86_400);
    /// Such a link's token, in characters.
    pub const ACK_TOKEN_CHARACTERS: usize = 512;
    /// How long an export that was asked for can be fetched.
    pub const EXPORT_GOOD: Duration = Duration::from_secs(86_400);
    /// Bytes of a document that is imported, up to the line behind which nothing of it is read; by the API as lines of JSON, all of it.
    pub const IMPORT_BYTES: usize = 64 << 20;
    /// One of its lines.
    pub const IMPORT_LINE_BYTES: usize = 1 << 20;
    /// How long the API takes to read and to make it.
    pub const IMPORT_TIME: Duration = Duration::from_secs(900);
    /// How long the next piece of it is waited for.
    pub const IMPORT_STALL: Duration = Duration::from_secs(60);
    /// Imports of one process at the same time; all that one defines is held in memory.
    pub const IMPORTS: usize = 2;
    /// Things of an import that are made in one transaction, for which others wait.
    pub const IMPORTED_AT_ONCE: usize = 100;
    /// Things that are imported into an organisation that is there: all in one transaction.
    pub const IMPORTED_INTO: usize = 1_000;
    /// After how long an import that makes nothing more is given up, and what there is of it removed. Longer than one transaction takes.
    pub const IMPORT_LAPSE: Duration = Duration::from_secs(120);
    /// Tenants of one control store.
    pub const TENANTS: usize = 10_000;
}

/// Decoding of calls, events and errors (`decode/`).
pub mod decoding {
    /// How deep a type may nest: tuples, lists and arrays.
    pub const TYPE_DEPTH: usize = 32;
    /// Words of a type's head, or of all heads of a tuple: fixed arrays are that long at most.
    pub const TYPE_WORDS: usize = 65_536;
    /// Arguments of one call, event or error as JSON, in bytes. What says more stays raw.
    pub const DECODED_BYTES: usize = 1 << 20;
    /// A signature with names, in bytes. A function, an event or an error whose signature is longer is not decoded.
    pub const SIGNATURE_BYTES: usize = 4 << 10;
    /// Signatures and arguments of one transaction that are kept with it, in bytes: its call and the calls inside, then its logs in their
    /// order. The first log that has no room, and those behind it, stay raw. More than 7,000 transfers of tokens.
    pub const TRANSACTION_BYTES: usize = 2 << 20;
    /// Calls inside of one call that are told of.
    pub const INNER_CALLS: usize = 256;
    /// The least that is taken for readable text, in bytes: four may as well be a selector.
    pub const TEXT_BYTES: usize = 5;
}
