//! Two binaries on the same blocks in the same run, measured in turn: figures of both, and their ratios.
//!
//! Guarantee: a ratio is of sums over all rounds; its least and its most are of one round each, in which both were measured one
//! after the other. What one of both does not tell is shown as missing, never as nought.

use super::feed::Feed;
use super::idle::Idle;
use super::report::{Lines, Report, Settings, figure, is_product, statements};
use super::{Format, processes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

/// Both over one log.
#[derive(Debug, Serialize)]
pub(super) struct Log {
    pub settings: Settings,
    pub old: Vec<Report>,
    pub new: Vec<Report>,
}

/// Both over each log, and idle.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    pub other: PathBuf,
    pub logs: Vec<Log>,
    pub idle_old: Vec<Idle>,
    pub idle_new: Vec<Idle>,
}

/// The ingest stages of both.
#[derive(Debug, Serialize)]
pub(super) struct Feeds {
    pub other: PathBuf,
    pub settings: Settings,
    pub old: Vec<Feed>,
    pub new: Vec<Feed>,
}

/// One figure of one measurement.
struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
}

/// The stage that a thread works for.
fn stage(thread: &str) -> &str {
    let stages = ["ingest", "enrich", "causes", "aggregate", "alerts", "sink", "api"];
    match thread {
        processes::STORE => "store",
        processes::BROKER | processes::NODE | processes::ENDED => thread,
        name if ["log-writer", "fjall", "rdk", "kafka"].iter().any(|log| name.starts_with(log)) => "log",
        name => stages.into_iter().find(|stage| name.starts_with(stage)).unwrap_or("other threads"),
    }
}

fn by_stage(threads: &BTreeMap<String, f64>) -> Vec<Figure> {
    const UNIT: &str = "µs/transaction";
    let mut stages: BTreeMap<&str, f64> = BTreeMap::new();
    for (thread, us) in threads {
        *stages.entry(stage(thread)).or_default() += us;
    }
    let all = threads.iter().filter(|(thread, _)| is_product(thread)).map(|(_, us)| us).sum();
    let mut figures = vec![Figure { name: "CPU, of Headwater".to_owned(), unit: UNIT, value: all }];
    let mut stages: Vec<(&str, f64)> = stages.into_iter().collect();
    stages.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (stage, value) in stages {
        let name = if is_product(stage) { format!("  {stage}") } else { format!("CPU, of the {stage}") };
        figures.push(Figure { name, unit: UNIT, value });
    }
    // What is not the product's stands last.
    figures.sort_by_key(|figure| figure.name.starts_with("CPU, of the "));
    figures
}

fn of_report(report: &Report) -> Vec<Figure> {
    let (speed, memory) = (&report.speed, &report.memory);
    let figure = |name: &str, unit, value| Figure { name: name.to_owned(), unit, value };
    let mut figures = vec![
        figure("node to visible row", "transactions/s", speed.transactions_per_second),
        figure("  rows of all tables", "rows/s", speed.rows_per_second),
    ];
    figures.extend(by_stage(&speed.cpu_us_per_transaction));
    let store = speed.cpu_us_per_transaction.get(processes::STORE).copied().unwrap_or(0.0);
    figures.push(figure("store: merges", "µs/transaction", speed.merges()));
    figures.push(figure("store: the rest", "µs/transaction", store - speed.merges()));
    for (folder, bytes) in &speed.bytes_per_transaction {
        figures.push(figure(&format!("on disk: {folder}"), "bytes/transaction", *bytes));
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    figures.push(figure("peak memory", "MiB", mib(memory.main + memory.children)));
    figures.push(figure("peak memory: stages", "MiB", mib(memory.main)));
    figures.push(figure("peak memory: store", "MiB", mib(memory.children)));
    if let Some(latency) = &report.latency {
        figures.push(figure("head to WebSocket, p50", "ms", latency.p50_ms));
        figures.push(figure("head to WebSocket, p99", "ms", latency.p99_ms));
        figures.push(figure("head to its window, p50", "ms", latency.windows.p50_ms));
        figures.push(figure("head to its window, p99", "ms", latency.windows.p99_ms));
    }
    figures
}

fn figures_of_feed(feed: &Feed) -> Vec<Figure> {
    let mut figures =
        vec![Figure { name: "node to Kafka".to_owned(), unit: "transactions/s", value: feed.transactions_per_second }];
    figures.extend(by_stage(&feed.cpu_us_per_transaction));
    let memory = feed.peak_memory as f64 / f64::from(1 << 20);
    figures.push(Figure { name: "peak memory".to_owned(), unit: "MiB", value: memory });
    figures
}

/// A figure of both.
#[derive(Debug, PartialEq, Serialize)]
struct Line {
    name: String,
    unit: &'static str,
    /// Means over the rounds; `None`: not told.
    old: Option<f64>,
    new: Option<f64>,
    /// New to old: of the sums, and the least and the most of one round.
    ratio: Option<[f64; 3]>,
}

/// `old`, `new`: the figures of each round.
fn lines(old: &[Vec<Figure>], new: &[Vec<Figure>]) -> Vec<Line> {
    let mut names: Vec<(&str, &'static str)> = Vec::new();
    for figure in old.iter().chain(new).flatten() {
        if !names.contains(&(figure.name.as_str(), figure.unit)) {
            names.push((&figure.name, figure.unit));
        }
    }
    let line = |(name, unit): (&str, &'static str)| {
        let of = |rounds: &[Vec<Figure>]| -> Vec<Option<f64>> {
            let find = |round: &Vec<Figure>| {
                round
                    .iter()
                    .find(|figure| (figure.name.as_str(), figure.unit) == (name, unit))
                    .map(|figure| figure.value)
            };
            rounds.iter().map(find).collect()
        };
        let (old, new) = (of(old), of(new));
        let mean = |all: &[Option<f64>]| {
            let told: Vec<f64> = all.iter().flatten().copied().collect();
            (!told.is_empty()).then(|| told.iter().sum::<f64>() / told.len() as f64)
        };
        let pairs: Vec<(f64, f64)> = old.iter().zip(&new).filter_map(|(old, new)| Some(((*old)?, (*new)?))).collect();
        let ratio = |(old, new): (f64, f64)| (old > 0.0).then(|| new / old);
        let sums = pairs.iter().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
        let each: Vec<f64> = pairs.iter().filter_map(|pair| ratio(*pair)).collect();
        let least = each.iter().copied().fold(f64::INFINITY, f64::min);
        let most = each.iter().copied().fold(0.0, f64::max);
        let ratio = ratio(sums).filter(|_| !each.is_empty()).map(|all| [all, least, most]);
        Line { name: name.to_owned(), unit, old: mean(&old), new: mean(&new), ratio }
    };
    names.into_iter().map(line).collect()
}

fn table(out: &mut Lines, lines: &[Line], rounds: usize) {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure);
    let head = ["other", "this", "ratio", "least", "most"].map(str::to_owned);
    out.line(&format!("means of {rounds} rounds, in turn"), head, "");
    for line in lines {
        let [ratio, least, most] = line.ratio.map_or([None; 3], |ratio| ratio.map(Some));
        let columns = [line.old, line.new, ratio, least, most].map(shown);
        out.line(&line.name, columns, line.unit);
    }
    out.line("", [], "");
}

pub(super) fn print(compared: &Compared, format: Format) -> std::io::Result<()> {
    let lines_of = |log: &Log| {
        let of = |reports: &[Report]| reports.iter().map(of_report).collect::<Vec<_>>();
        lines(&of(&log.old), &of(&log.new))
    };
    if format == Format::Json {
        let ratios: Vec<Vec<Line>> = compared.logs.iter().map(lines_of).collect();
        return json(&serde_json::json!({ "compared": compared, "lines": ratios }));
    }
    let mut out = Lines(String::new());
    for log in &compared.logs {
        out.head(&log.settings);
        out.line("other", [], &compared.other.display().to_string());
        out.line("this", [], log.settings.binary());
        if let Some(report) = log.new.first() {
            let s = &report.speed;
            out.line(
                &format!("log: {}", log.settings.log()),
                [],
                &format!("{} blocks, {} transactions, {} logs, the same for both", s.blocks, s.transactions, s.logs),
            );
        }
        table(&mut out, &lines_of(log), log.new.len());
    }
    if !compared.idle_new.is_empty() {
        out.line("", ["other", "this"].map(str::to_owned), "");
        statements(&mut out, &[&compared.idle_old, &compared.idle_new]);
    }
    writeln!(std::io::stdout(), "{}", out.0.trim_end())
}

pub(super) fn print_feeds(feeds: &Feeds, format: Format) -> std::io::Result<()> {
    let of = |feeds: &[Feed]| feeds.iter().map(figures_of_feed).collect::<Vec<_>>();
    let lines = lines(&of(&feeds.old), &of(&feeds.new));
    if format == Format::Json {
        return json(&serde_json::json!({ "compared": feeds, "lines": lines }));
    }
    let mut out = Lines(String::new());
    out.head(&feeds.settings);
    out.line("other", [], &feeds.other.display().to_string());
    out.line("this", [], feeds.settings.binary());
    if let Some(feed) = feeds.new.first() {
        let what = format!("{} blocks, {} transactions, the same for both", feed.blocks, feed.transactions);
        out.line("node to Kafka", [], &what);
    }
    table(&mut out, &lines, feeds.new.len());
    writeln!(std::io::stdout(), "{}", out.0.trim_end())
}

fn json(value: &serde_json::Value) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(&str, f64)]) -> Vec<Figure> {
        all.iter().map(|(name, value)| Figure { name: (*name).to_owned(), unit: "µs", value: *value }).collect()
    }

    #[test]
    fn ratios_are_of_sums_with_the_rounds_least_and_most() {
        let old = [figures(&[("store", 100.0), ("gone", 1.0)]), figures(&[("store", 300.0)])];
        let new = [figures(&[("store", 80.0), ("come", 2.0)]), figures(&[("store", 120.0), ("come", 4.0)])];
        let lines = lines(&old, &new);
        assert_eq!(lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["store", "gone", "come"]);
        assert_eq!((lines[0].old, lines[0].new, lines[0].ratio), (Some(200.0), Some(100.0), Some([0.5, 0.4, 0.8])));
        assert_eq!((lines[1].old, lines[1].new, lines[1].ratio), (Some(1.0), None, None));
        assert_eq!((lines[2].old, lines[2].new, lines[2].ratio), (None, Some(3.0), None));
    }

    #[test]
    fn threads_are_counted_for_their_stage_and_none_is_lost() {
        let threads = [
            ("ingest", 1.0),
            ("ingest-beat", 2.0),
            ("rdk:broker", 4.0),
            ("log-writer", 8.0),
            (processes::STORE, 16.0),
            ("ended threads", 32.0),
            ("tokio-rt", 64.0),
            (processes::BROKER, 128.0),
        ];
        let figures = by_stage(&threads.map(|(name, us)| (name.to_owned(), us)).into());
        let of = |name: &str| figures.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        assert_eq!(of("CPU, of Headwater"), Some(127.0));
        assert_eq!((of("  ingest"), of("  log"), of("  store")), (Some(3.0), Some(12.0), Some(16.0)));
        assert_eq!((of("  ended threads"), of("  other threads")), (Some(32.0), Some(64.0)));
        assert_eq!(of("CPU, of the Kafka broker"), Some(128.0));
    }
}
