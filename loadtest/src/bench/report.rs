//! Figures with what they were measured on, for people or for programs.

use super::{
    Format, LogKind, Measuring, alerts::Alerts, bitcoin::Bitcoin, feed::Feed, fleet::Fleet, idle::Idle,
    latency::Latency, processes, processes::Memory, source::Source, speed::Speed,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// What was measured, on what.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    block_set: String,
    recorded_blocks: usize,
    recorded_transactions: u64,
    log: &'static str,
    store: &'static str,
    extra_config: String,
    /// Contracts of the operator, each with an ABI.
    contracts: u16,
    /// Blocks that went through the broker before.
    broker_warmed_with: u64,
    binary: String,
    cores: usize,
    processor: String,
    kernel: String,
}

impl Settings {
    pub(super) fn new(of: &Measuring, log: LogKind, binary: &Path) -> Self {
        let data = &of.data;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            block_set: data.name().to_owned(),
            recorded_blocks: data.blocks().len(),
            recorded_transactions: data.blocks().iter().map(|b| b.facts().tx_count).sum(),
            log: match log {
                LogKind::Embedded => "embedded",
                LogKind::Kafka => "kafka",
                LogKind::Both => "both",
            },
            store: "embedded",
            extra_config: of.args.extra_config.clone(),
            contracts: of.args.contracts,
            broker_warmed_with: if log == LogKind::Embedded { 0 } else { of.args.warm_up },
            binary: binary.display().to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    /// The measured binary.
    pub(super) fn binary(&self) -> &str {
        &self.binary
    }

    /// The log's name.
    pub(super) fn log(&self) -> &'static str {
        self.log
    }
}

/// What one binary did over one log, once.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub settings: Settings,
    pub speed: Speed,
    pub latency: Option<Latency>,
    pub memory: Memory,
}

/// What one binary did over each log.
#[derive(Debug, Serialize)]
pub(super) struct Alone {
    pub reports: Vec<Report>,
    /// Over the same logs, where it was measured.
    pub alerts: Vec<Alerts>,
    pub idle: Vec<Idle>,
    pub fleets: Vec<Fleet>,
    pub source: Source,
    /// One for each log, or none.
    pub bitcoin: Vec<Bitcoin>,
}

/// What else used CPU, and is not the product.
pub(super) fn is_product(name: &str) -> bool {
    name != processes::NODE && name != processes::BROKER
}

/// One report, or several side by side.
pub(super) fn print(alone: &Alone, format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(alone).map_err(std::io::Error::other)?,
        Format::Table => table(alone),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

/// Lines of a name, a figure per column, and a unit.
pub(crate) struct Lines(pub String);

impl Lines {
    pub(crate) fn line(&mut self, what: &str, figures: impl IntoIterator<Item = String>, unit: &str) {
        let figures: String = figures.into_iter().map(|f| format!(" {f:>14}")).collect();
        // Writing into memory cannot fail.
        let _ = writeln!(self.0, "{}", format!("{what:<42}{figures}  {unit}").trim_end());
    }

    pub(super) fn head(&mut self, s: &Settings) {
        let set = format!("{}, {} blocks, {} transactions", s.block_set, s.recorded_blocks, s.recorded_transactions);
        self.line("block set", [], &set);
        self.line("cores", [], &format!("{}, {}, Linux {}", s.cores, s.processor, s.kernel));
        if !s.extra_config.trim().is_empty() {
            self.line("configuration", [], s.extra_config.trim());
        }
        if s.contracts > 0 {
            self.line("contracts", [], &format!("{}, each with an ABI", s.contracts));
        }
        if s.broker_warmed_with > 0 {
            self.line(
                "Kafka broker",
                [],
                &format!("warmed up with {} blocks that are not counted", s.broker_warmed_with),
            );
        }
        self.line("", [], "");
    }
}

fn table(alone: &Alone) -> String {
    let reports = &alone.reports;
    let (Some(first), Some(last)) = (reports.first(), reports.last()) else { return String::new() };
    let mut out = Lines(String::new());
    out.head(&last.settings);
    let each = |of: &dyn Fn(&Report) -> f64| reports.iter().map(|r| figure(of(r))).collect::<Vec<_>>();
    out.line("log", reports.iter().map(|r| r.settings.log.to_owned()), "");
    out.line("node to visible row", each(&|r| r.speed.transactions_per_second), "transactions/s");
    out.line("  rows of all tables", each(&|r| r.speed.rows_per_second), "rows/s");
    let s = &first.speed;
    let what = format!("s, {} blocks, {} transactions, {} logs", s.blocks, s.transactions, s.logs);
    out.line("  measured over", each(&|r| r.speed.seconds), &what);
    if reports.iter().any(|r| r.speed.merged_after_seconds.is_some()) {
        let what = "s after the last row; their CPU counts";
        out.line("  merges had ended", each(&|r| r.speed.merged_after_seconds.unwrap_or(f64::NAN)), what);
    }
    let cpu = |r: &Report, name: &str| r.speed.cpu_us_per_transaction.get(name).copied().unwrap_or(0.0);
    let total = |r: &Report| -> f64 {
        r.speed.cpu_us_per_transaction.iter().filter(|(name, _)| is_product(name)).map(|(_, us)| us).sum()
    };
    out.line("CPU, of Headwater", each(&total), "µs/transaction");
    let names: BTreeSet<&str> =
        reports.iter().flat_map(|r| r.speed.cpu_us_per_transaction.keys().map(String::as_str)).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    let most = |name: &str| reports.iter().map(|r| cpu(r, name)).fold(0.0, f64::max);
    names.sort_by(|a, b| is_product(b).cmp(&is_product(a)).then(most(b).total_cmp(&most(a))));
    for name in names {
        let shown = if is_product(name) { format!("  {name}") } else { format!("CPU, of the {name}") };
        out.line(&shown, each(&|r| cpu(r, name)), "µs/transaction");
        if name == processes::STORE {
            out.line("    its merges", each(&|r| r.speed.merges()), "µs/transaction");
            out.line("    the rest of it", each(&|r| cpu(r, name) - r.speed.merges()), "µs/transaction");
        }
    }
    let folders: BTreeSet<&String> = reports.iter().flat_map(|r| r.speed.bytes_per_transaction.keys()).collect();
    for folder in folders {
        let bytes = |r: &Report| r.speed.bytes_per_transaction.get(folder).copied().unwrap_or(0.0);
        out.line(&format!("on disk: {folder}"), each(&bytes), "bytes/transaction");
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    out.line("peak memory", each(&|r| mib(r.memory.main + r.memory.children)), "MiB");
    out.line("  stages", each(&|r| mib(r.memory.main)), "MiB");
    out.line("  store", each(&|r| mib(r.memory.children)), "MiB");
    if let Some(latency) = &first.latency {
        let rate = format!("ms at {:.0} transactions/s", latency.transactions_per_second);
        let ms = |of: fn(&Latency) -> f64| each(&|r| r.latency.as_ref().map_or(f64::NAN, of));
        out.line("head to WebSocket, p50", ms(|l| l.p50_ms), &rate);
        out.line("head to WebSocket, p99", ms(|l| l.p99_ms), &format!("ms, {} blocks", latency.blocks));
        out.line("head to WebSocket, slowest", ms(|l| l.max_ms), "ms");
        out.line("head to its window, p50", ms(|l| l.windows.p50_ms), "ms");
        out.line(
            "head to its window, p99",
            ms(|l| l.windows.p99_ms),
            &format!("ms, {} windows", latency.windows.count),
        );
    }
    if let Some(first) = alone.alerts.first() {
        let ms = |of: fn(&Alerts) -> f64| alone.alerts.iter().map(move |a| figure(of(a))).collect::<Vec<_>>();
        let (monitors, tenants) = (first.monitors, first.tenants);
        let what = format!(
            "ms at {:.0} transactions/s, {monitors} monitors of {tenants} tenants",
            first.transactions_per_second
        );
        out.line("head to an alert's request, p50", ms(|a| a.p50_ms), &what);
        out.line("head to an alert's request, p99", ms(|a| a.p99_ms), &format!("ms, {} messages", first.messages));
        out.line("head to an alert's request, slowest", ms(|a| a.max_ms), "ms");
        out.line("  CPU of alerts", ms(|a| a.cpu_us_per_transaction), "µs/transaction, messages included");
    }
    out.line("", [], "");
    statements(&mut out, &[&alone.idle]);
    out.line("", [], "");
    fleets(&mut out, &alone.fleets);
    let source = &alone.source;
    out.line("simulated node alone", [figure(source.transactions_per_second)], "transactions/s, client included");
    out.line("  its CPU", [figure(source.cpu_us_per_transaction)], "µs/transaction");
    out.line("  its answers", [figure(source.bytes_per_transaction)], "bytes/transaction");
    bitcoin(&mut out, &alone.bitcoin);
    out.0
}

/// A Bitcoin chain, a column for each log.
fn bitcoin(out: &mut Lines, all: &[Bitcoin]) {
    let Some(first) = all.first() else { return };
    let each = |of: &dyn Fn(&Bitcoin) -> f64| all.iter().map(|b| figure(of(b))).collect::<Vec<_>>();
    out.line("", [], "");
    let what = format!(
        "{}, {} blocks, {} transactions, {} MB",
        first.block_set,
        first.blocks,
        first.transactions,
        figure(first.megabytes)
    );
    out.line("Bitcoin blocks", [], &what);
    out.line("node to visible row", each(&|b| b.transactions_per_second), "transactions/s");
    out.line("  the same", each(&|b| b.megabytes_per_second), "MB/s");
    out.line("  measured over", each(&|b| b.seconds), "s");
    out.line("decoded and published", each(&|b| b.published_megabytes_per_core_second), "MB/s a core, by ingest's CPU");
    let names: BTreeSet<&String> = all.iter().flat_map(|b| b.cpu_us_per_transaction.keys()).collect();
    for name in names {
        let shown = if is_product(name) { format!("  {name}") } else { format!("CPU, of the {name}") };
        let cpu = |b: &Bitcoin| b.cpu_us_per_transaction.get(name).copied().unwrap_or(0.0);
        out.line(&shown, each(&cpu), "µs/transaction");
    }
    out.line("simulated Bitcoin node alone", each(&|b| b.node_megabytes_per_second), "MB/s, client included");
}

/// What idleness costs, of each binary in a column: with one network, and what each further one adds.
pub(super) fn statements(out: &mut Lines, binaries: &[&[Idle]]) {
    let Some(most) = binaries.iter().filter_map(|idle| idle.last()).map(|idle| idle.networks).max() else { return };
    out.line("statements and CPU when there is nothing to do", [], "");
    let asked = |idle: &Idle, name: &str| {
        let all = idle.statements_per_second.as_ref()?;
        Some(if name == ALL { all.values().sum() } else { all.get(name).copied().unwrap_or(0.0) })
    };
    let cpu = |idle: &Idle, name: &str| {
        let all = &idle.cpu_ms_per_second;
        let product = all.iter().filter(|(name, _)| is_product(name)).map(|(_, ms)| ms);
        Some(if name == ALL { product.sum() } else { all.get(name).copied().unwrap_or(0.0) })
    };
    let every = || binaries.iter().copied().flatten();
    let names: BTreeSet<&str> = every()
        .filter_map(|idle| idle.statements_per_second.as_ref())
        .flat_map(|all| all.keys().map(String::as_str))
        .collect();
    let names = std::iter::once(ALL).chain(names.into_iter().filter(|name| !name.is_empty()));
    both(out, binaries, most, "statements", "a second", names, &asked);
    let names: BTreeSet<&str> = every().flat_map(|idle| idle.cpu_ms_per_second.keys().map(String::as_str)).collect();
    let worth = |name: &&str| every().any(|idle| cpu(idle, name).is_some_and(|ms| ms >= 0.5));
    let names = std::iter::once(ALL).chain(names.into_iter().filter(worth));
    both(out, binaries, most, "CPU", "ms a second", names, &cpu);
    out.line("", [], "");
}

/// What networks with several endpoints cost, a column for each number of them.
fn fleets(out: &mut Lines, all: &[Fleet]) {
    let Some(most) = all.last() else { return };
    let each = |of: &dyn Fn(&Fleet) -> f64| all.iter().map(|f| figure(of(f))).collect::<Vec<_>>();
    out.line("networks", all.iter().map(|f| f.idle.networks.to_string()), "");
    out.line("endpoints of each", all.iter().map(|f| f.endpoints.to_string()), "");
    let cpu =
        |f: &Fleet| f.idle.cpu_ms_per_second.iter().filter(|(name, _)| is_product(name)).map(|(_, ms)| ms).sum::<f64>();
    let ingest = |f: &Fleet| f.idle.cpu_ms_per_second.get("ingest").copied().unwrap_or(0.0);
    let memory = |f: &Fleet| f.idle.resident_bytes as f64 / f64::from(1 << 20);
    let threads = |f: &Fleet| f.idle.threads as f64;
    // The first has other endpoints: there is nothing to compare the second with.
    let further = |of: &dyn Fn(&Fleet) -> f64| {
        let added = |n: usize| match n.checked_sub(1).map(|before| (&all[before], &all[n])) {
            Some((a, b)) if a.endpoints == b.endpoints && a.idle.networks < b.idle.networks => {
                (of(b) - of(a)) / (b.idle.networks - a.idle.networks) as f64
            }
            _ => f64::NAN,
        };
        (0..all.len()).map(|n| figure(added(n))).collect::<Vec<_>>()
    };
    out.line("CPU when idle", each(&cpu), "ms a second");
    out.line("", further(&cpu), "for each further network");
    out.line("  ingest", each(&ingest), "ms a second");
    out.line("memory of the stages when idle", each(&memory), "MiB");
    out.line("", further(&memory), "for each further network");
    out.line("threads of the stages", all.iter().map(|f| f.idle.threads.to_string()), "");
    out.line("", further(&threads), "for each further network");
    for n in 0..most.endpoints {
        let asked = |of: fn(&super::fleet::Asked) -> f64| each(&|f| f.asked.get(n).map_or(f64::NAN, of));
        let what = if n == 0 { "endpoint 1, the one in use".to_owned() } else { format!("endpoint {}", n + 1) };
        out.line(&what, asked(super::fleet::Asked::calls), "calls a block at the head");
        out.line("", asked(|a| a.bytes_per_block), "bytes a block, heads and probes included");
        out.line("", asked(|a| a.idle_calls_per_minute), "calls a minute when idle");
    }
    out.line("", [], "");
}

/// The sum of all.
const ALL: &str = "all";

/// A figure of each binary: with one network, and per further network.
fn both<'a>(
    out: &mut Lines,
    binaries: &[&[Idle]],
    most: usize,
    what: &str,
    unit: &str,
    names: impl Iterator<Item = &'a str>,
    of: &dyn Fn(&Idle, &str) -> Option<f64>,
) {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure);
    for name in names {
        let label = if name == ALL { what.to_owned() } else { format!("  {name}") };
        let one = |idle: &&[Idle]| shown(idle.first().and_then(|idle| of(idle, name)));
        out.line(&label, binaries.iter().map(one), &format!("{unit}, one network"));
        if most > 1 {
            let further = |idle: &&[Idle]| {
                let (one, many) = (idle.first()?, idle.last()?);
                Some((of(many, name)? - of(one, name)?) / many.networks.saturating_sub(1).max(1) as f64)
            };
            let unit = format!("{unit} for each further one of {most}");
            out.line("", binaries.iter().map(|idle| shown(further(idle))), &unit);
        }
    }
}

/// Node → Kafka of Headwater and of its peers, side by side, with the ratios.
pub(super) fn print_feeds(settings: &Settings, feeds: &[Feed], format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(feeds).map_err(std::io::Error::other)?,
        Format::Table => feeds_table(settings, feeds),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

/// CPU of whoever is measured, without the broker's and the node's.
pub(super) fn of_feed(feed: &Feed) -> f64 {
    feed.cpu_us_per_transaction.iter().filter(|(name, _)| is_product(name)).map(|(_, us)| us).sum()
}

fn feeds_table(settings: &Settings, feeds: &[Feed]) -> String {
    let mut out = Lines(String::new());
    out.head(settings);
    for feed in feeds {
        out.line(&feed.name, [], &format!("checks {}; writes {}", feed.checks, feed.writes));
    }
    out.line("", [], "");
    let each = |of: &dyn Fn(&Feed) -> f64| feeds.iter().map(|f| figure(of(f))).collect::<Vec<_>>();
    out.line("from the same node", feeds.iter().map(|f| f.name.split(' ').next().unwrap_or_default().to_owned()), "");
    out.line("  rate", each(&|f| f.transactions_per_second), "transactions/s");
    out.line("  measured over", each(&|f| f.seconds), "s");
    out.line("  blocks", feeds.iter().map(|f| f.blocks.to_string()), "");
    out.line("  transactions", feeds.iter().map(|f| f.transactions.to_string()), "");
    if feeds.iter().any(|f| f.lost > 0) {
        out.line("  of them lost", feeds.iter().map(|f| f.lost.to_string()), "");
    }
    out.line("CPU", each(&of_feed), "µs/transaction");
    let names: BTreeSet<&String> = feeds.iter().flat_map(|f| f.cpu_us_per_transaction.keys()).collect();
    for name in names {
        let shown = if is_product(name) { format!("  {name}") } else { format!("CPU, of the {name}") };
        let cpu = |f: &Feed| f.cpu_us_per_transaction.get(name).copied().unwrap_or(0.0);
        out.line(&shown, each(&cpu), "µs/transaction");
    }
    out.line("peak memory", each(&|f| f.peak_memory as f64 / f64::from(1 << 20)), "MiB");
    if let [ours, peers @ ..] = feeds
        && !peers.is_empty()
    {
        let ratios = |of: &dyn Fn(&Feed) -> f64| -> Vec<String> {
            std::iter::once(String::new()).chain(peers.iter().map(|peer| figure(of(peer)))).collect()
        };
        let by_rate = ratios(&|peer| ours.transactions_per_second / peer.transactions_per_second);
        out.line("ratio: Headwater's rate to it", by_rate, "");
        out.line(
            "ratio: its CPU to Headwater's",
            ratios(&|peer| of_feed(peer) / of_feed(ours)),
            "without broker and node",
        );
    }
    out.0
}

/// Three digits that matter.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "–".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
