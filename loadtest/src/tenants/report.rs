//! Figures beside their aims, for people or for programs.

use super::door::{Cost, Door};
use super::evaluation::Evaluation;
use super::noisy::Times;
use super::{OverLog, Report};
use crate::bench::{Format, Lines, figure};
use std::io::Write as _;

/// Prints to standard output.
pub(super) fn print(report: &Report, format: Format) -> std::io::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(report).map_err(std::io::Error::other)?,
        Format::Table => table(report),
    };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}

fn table(report: &Report) -> String {
    let mut out = Lines(String::new());
    for of in &report.logs {
        over(&mut out, of);
        out.line("", [], "");
    }
    for of in &report.doors {
        door(&mut out, of);
        out.line("", [], "");
    }
    out.0
}

fn over(out: &mut Lines, of: &OverLog) {
    let all = &of.evaluations;
    let each = |figures: &dyn Fn(&Evaluation) -> String| all.iter().map(figures).collect::<Vec<_>>();
    out.line("log", [of.log.to_owned()], "");
    out.line("tenants", each(&|e| e.tenants.to_string()), "");
    out.line("monitors of all together", each(&|e| e.monitors.to_string()), "");
    out.line("  made and told to the stages in", each(&|e| figure(e.made_seconds)), "s");
    let what = all.first().map_or_else(String::new, |e| format!("in {} transactions", e.transactions));
    out.line("matches", each(&|e| e.matches.to_string()), &what);
    out.line("  looked through in", each(&|e| figure(e.seconds)), "s");
    out.line("CPU of alerts", each(&|e| figure(e.cpu_us_per_transaction)), "µs/transaction");
    if let [few, one, many] = all.as_slice() {
        let ratio = |a: &Evaluation, b: &Evaluation| figure(a.cpu_us_per_transaction / b.cpu_us_per_transaction);
        let words = format!("times those of one tenant with {} (aim: at most 2)", one.monitors);
        out.line("  of many tenants", [ratio(many, one)], &words);
        let words = format!("times {} that find the same (aim: at most 2)", few.monitors);
        out.line("  of one tenant", [ratio(one, few)], &words);
    }
    out.line("memory of the stages", each(&|e| figure(e.resident_bytes as f64 / f64::from(1 << 20))), "MiB");
    out.line("blocks fetched", each(&|e| figure(e.fetched_per_block.0)), "times each (aim: once, whoever watches)");
    out.line("  their receipts", each(&|e| figure(e.fetched_per_block.1)), "times each");
    out.line("  calls of all kinds", each(&|e| figure(e.calls_per_block.values().sum())), "a block");
    let Some(noisy) = &of.noisy else { return };
    let rate = format!("ms at {:.0} transactions/s, without and beside a noisy one", noisy.transactions_per_second);
    let both = |of: fn(&Times) -> f64| [of(&noisy.alone), of(&noisy.beside)].map(figure);
    out.line("quiet tenant: head to request, p50", both(|t| t.p50_ms), &rate);
    let words = format!("ms, {} and {} messages", noisy.alone.messages, noisy.beside.messages);
    out.line("quiet tenant: head to request, p99", both(|t| t.p99_ms), &words);
    out.line("quiet tenant: head to request, slowest", both(|t| t.max_ms), "ms");
    let more = figure(noisy.beside.p99_ms - noisy.alone.p99_ms);
    let words = format!("ms at p99 (aim: at most 1000); the noisy one was sent {} messages", noisy.noise);
    out.line("  the noisy one costs it", [more], &words);
}

fn door(out: &mut Lines, door: &Door) {
    let Some(first) = door.costs.first() else { return };
    out.line(&format!("GET {}", door.path), ["µs".into(), "CPU, µs".into()], "a request; CPU of the API's threads");
    for cost in &door.costs {
        let words = words(cost, first);
        out.line(&format!("  {}", cost.way.words()), [figure(cost.took_us), figure(cost.cpu_us)], &words);
    }
}

/// How much more than without a credential; that a request is hot is said of what is known alone.
fn words(cost: &Cost, nothing: &Cost) -> String {
    let Some(aim) = cost.way.aim() else { return format!("{} requests of each kind", cost.requests) };
    let hot = if cost.way.is_known() { " (aim: at most 5)" } else { "" };
    format!(
        "{:+.1} % and {:+.1} %{hot}; {:+.1} µs of CPU (aim: at most {aim:.0})",
        percent(cost.took_us, nothing.took_us),
        percent(cost.cpu_us, nothing.cpu_us),
        cost.cpu_us - nothing.cpu_us
    )
}

fn percent(a: f64, b: f64) -> f64 {
    (a / b - 1.0) * 100.0
}
