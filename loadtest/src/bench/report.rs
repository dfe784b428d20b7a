//! Figures with what they were measured on, for people or for programs.

use super::{
    Bench, Format, LogKind, feed::Feed, latency::Latency, processes, processes::Memory, source::Source, speed::Speed,
};
use crate::node::evm::Dataset;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// What was measured, on what.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    block_set: String,
    recorded_blocks: usize,
    recorded_transactions: u64,
    log: &'static str,
    store: &'static str,
    extra_config: String,
    /// Blocks that went through the broker before.
    broker_warmed_with: u64,
    binary: String,
    cores: usize,
    processor: String,
    kernel: String,
}

impl Settings {
    pub(super) fn new(args: &Bench, log: LogKind, data: &Dataset, binary: &Path) -> Self {
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
            extra_config: args.extra_config.clone(),
            broker_warmed_with: if log == LogKind::Embedded { 0 } else { super::WARM_UP },
            binary: binary.display().to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub settings: Settings,
    pub source: Source,
    pub speed: Speed,
    pub latency: Latency,
    pub memory: Memory,
}

/// What else used CPU, and is not the product.
fn is_product(name: &str) -> bool {
    name != "simulated node" && name != processes::BROKER
}

/// One report, or several side by side.
pub(super) fn print(reports: &[Report], format: Format) -> std::io::Result<()> {
    let text = match (format, reports) {
        (Format::Json, [report]) => serde_json::to_string_pretty(report).map_err(std::io::Error::other)?,
        (Format::Json, reports) => serde_json::to_string_pretty(reports).map_err(std::io::Error::other)?,
        (Format::Table, reports) => table(reports),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

/// Lines of a name, a figure per column, and a unit.
struct Lines(String);

impl Lines {
    fn line(&mut self, what: &str, figures: impl IntoIterator<Item = String>, unit: &str) {
        let figures: String = figures.into_iter().map(|f| format!(" {f:>14}")).collect();
        // Writing into memory cannot fail.
        let _ = writeln!(self.0, "{}", format!("{what:<42}{figures}  {unit}").trim_end());
    }

    fn head(&mut self, s: &Settings) {
        let set = format!("{}, {} blocks, {} transactions", s.block_set, s.recorded_blocks, s.recorded_transactions);
        self.line("block set", [], &set);
        self.line("cores", [], &format!("{}, {}, Linux {}", s.cores, s.processor, s.kernel));
        if !s.extra_config.trim().is_empty() {
            self.line("configuration", [], s.extra_config.trim());
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

fn table(reports: &[Report]) -> String {
    let (Some(first), Some(last)) = (reports.first(), reports.last()) else { return String::new() };
    let mut out = Lines(String::new());
    out.head(&last.settings);
    let each = |of: &dyn Fn(&Report) -> f64| reports.iter().map(|r| figure(of(r))).collect::<Vec<_>>();
    out.line("log", reports.iter().map(|r| r.settings.log.to_owned()), "");
    out.line("node to visible row", each(&|r| r.speed.transactions_per_second), "transactions/s");
    let s = &first.speed;
    let what = format!("s, {} blocks, {} transactions, {} logs", s.blocks, s.transactions, s.logs);
    out.line("  measured over", each(&|r| r.speed.seconds), &what);
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
    let rate = format!("ms at {:.0} transactions/s", first.latency.transactions_per_second);
    out.line("head to WebSocket, p50", each(&|r| r.latency.p50_ms), &rate);
    out.line("head to WebSocket, p99", each(&|r| r.latency.p99_ms), &format!("ms, {} blocks", first.latency.blocks));
    out.line("head to WebSocket, slowest", each(&|r| r.latency.max_ms), "ms");
    out.line("", [], "");
    let source = &first.source;
    out.line("simulated node alone", [figure(source.transactions_per_second)], "transactions/s, client included");
    out.line("  its CPU", [figure(source.cpu_us_per_transaction)], "µs/transaction");
    out.line("  its answers", [figure(source.bytes_per_transaction)], "bytes/transaction");
    out.0
}

/// Node → Kafka of Headwater and of its peer, side by side, with the ratio.
pub(super) fn print_feeds(settings: &Settings, feeds: &[Feed], format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(feeds).map_err(std::io::Error::other)?,
        Format::Table => feeds_table(settings, feeds),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

fn feeds_table(settings: &Settings, feeds: &[Feed]) -> String {
    let mut out = Lines(String::new());
    out.head(settings);
    let each = |of: &dyn Fn(&Feed) -> f64| feeds.iter().map(|f| figure(of(f))).collect::<Vec<_>>();
    out.line("node to Kafka", feeds.iter().map(|f| f.name.chars().take(14).collect()), "");
    out.line("  rate", each(&|f| f.transactions_per_second), "transactions/s");
    out.line("  measured over", each(&|f| f.seconds), "s");
    out.line("  blocks", feeds.iter().map(|f| f.blocks.to_string()), "");
    out.line("  transactions", feeds.iter().map(|f| f.transactions.to_string()), "");
    let sum = |f: &Feed| -> f64 {
        f.cpu_us_per_transaction.iter().filter(|(name, _)| is_product(name)).map(|(_, us)| us).sum()
    };
    out.line("CPU", each(&sum), "µs/transaction");
    let names: BTreeSet<&String> = feeds.iter().flat_map(|f| f.cpu_us_per_transaction.keys()).collect();
    for name in names {
        let shown = if is_product(name) { format!("  {name}") } else { format!("CPU, of the {name}") };
        let cpu = |f: &Feed| f.cpu_us_per_transaction.get(name).copied().unwrap_or(0.0);
        out.line(&shown, each(&cpu), "µs/transaction");
    }
    if let [ours, peer] = feeds {
        let by_rate = ours.transactions_per_second / peer.transactions_per_second;
        let by_cpu = sum(peer) / sum(ours);
        out.line("ratio", [figure(by_rate)], "by rate");
        out.line("", [figure(by_cpu)], "by CPU");
    }
    out.0
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
