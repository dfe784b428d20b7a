//! Figures with what they were measured on, for people or for programs.

use super::{Bench, Format, LogKind, latency::Latency, processes::Memory, source::Source, speed::Speed};
use crate::node::evm::Dataset;
use serde::Serialize;
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
    binary: String,
    cores: usize,
    processor: String,
    kernel: String,
}

impl Settings {
    pub(super) fn new(args: &Bench, data: &Dataset, binary: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            block_set: data.name().to_owned(),
            recorded_blocks: data.blocks().len(),
            recorded_transactions: data.blocks().iter().map(|b| b.facts().tx_count).sum(),
            log: match args.log {
                LogKind::Embedded => "embedded",
                LogKind::Kafka => "kafka",
            },
            store: "embedded",
            extra_config: args.extra_config.clone(),
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

pub(super) fn print(report: &Report, format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(report).map_err(std::io::Error::other)?,
        Format::Table => table(report),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

fn table(report: &Report) -> String {
    let Report { settings: s, source, speed, latency, memory } = report;
    let mut out = String::new();
    let mut line = |what: &str, figure: String, unit: &str| {
        // Writing into memory cannot fail.
        let _ = writeln!(out, "{what:<42} {figure:>14}  {unit}");
    };
    line(
        "block set",
        s.block_set.clone(),
        &format!("{} blocks, {} transactions", s.recorded_blocks, s.recorded_transactions),
    );
    line("log, store", format!("{}, {}", s.log, s.store), s.extra_config.trim());
    line("cores", s.cores.to_string(), &format!("{}, Linux {}", s.processor, s.kernel));
    line("", String::new(), "");
    line("node to visible row", figure(speed.transactions_per_second), "transactions/s");
    line(
        "  measured over",
        figure(speed.seconds),
        &format!("s, {} blocks, {} transactions, {} logs", speed.blocks, speed.transactions, speed.logs),
    );
    let product = |name: &&String| name.as_str() != "simulated node";
    let total: f64 = speed.cpu_us_per_transaction.iter().filter(|(name, _)| product(name)).map(|(_, us)| us).sum();
    line("CPU", figure(total), "µs/transaction, simulated node not counted");
    let mut stages: Vec<_> = speed.cpu_us_per_transaction.iter().collect();
    stages.sort_by(|a, b| b.1.total_cmp(a.1));
    for (stage, us) in stages {
        line(&format!("  {stage}"), figure(*us), "µs/transaction");
    }
    for (folder, bytes) in &speed.bytes_per_transaction {
        line(&format!("on disk: {folder}"), figure(*bytes), "bytes/transaction");
    }
    let mib = |bytes: u64| figure(bytes as f64 / f64::from(1 << 20));
    line("peak memory", mib(memory.main + memory.children), "MiB");
    line("  stages", mib(memory.main), "MiB");
    line("  store", mib(memory.children), "MiB");
    line(
        "head to WebSocket, p50",
        figure(latency.p50_ms),
        &format!("ms at {:.0} transactions/s", latency.transactions_per_second),
    );
    line("head to WebSocket, p99", figure(latency.p99_ms), &format!("ms, {} blocks", latency.blocks));
    line("head to WebSocket, slowest", figure(latency.max_ms), "ms");
    line("", String::new(), "");
    line("simulated node alone", figure(source.transactions_per_second), "transactions/s, client included");
    line("  its CPU", figure(source.cpu_us_per_transaction), "µs/transaction");
    line("  its answers", figure(source.bytes_per_transaction), "bytes/transaction");
    out.lines().map(str::trim_end).fold(String::new(), |all, line| all + line + "\n")
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
