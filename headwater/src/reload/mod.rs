//! `headwater reload`: the process that runs with a file reads it again, and takes over what it can without a restart.
//!
//! There is one way for this command and for SIGHUP, which is [`reloader`]: the command asks the process over its admin port
//! ([`route`]) and prints what it says; a signal has the same words logged. It is the process that reads the file, with its own
//! environment; this command looks into it only for `[admin] listen`.

mod reloader;
mod report;
pub mod route;

use std::{io::Write, net::SocketAddr, time::Duration};

use clap::Args;
use reqwest::StatusCode;

use crate::{
    arguments::{ConfigFile, Format},
    exit::Failure,
    parts,
};

pub use reloader::Reloader;
use report::Report;

/// How long the process may take: it makes clients for what is new, and connects to nothing.
const DEADLINE: Duration = Duration::from_secs(60);

/// Arguments of `headwater reload`.
#[derive(Args)]
pub struct Reload {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Ask the process whose health and metrics listen here instead of `[admin] listen`
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// One JSON object, or lines for people
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Asks the running process, and prints what it took over.
pub fn run(args: &Reload) -> Result<(), Failure> {
    let file = &args.config.config;
    let admin = match args.admin {
        Some(admin) => admin,
        None => runtime::config::admin_of(file)?,
    };
    let asked = route::Asked { file: std::path::absolute(file)? };
    let report = parts::block_on(ask(admin, &asked))??;
    let text = match args.format {
        Format::Table => report.to_string(),
        Format::Json => format!("{}\n", serde_json::to_string(&report)?),
    };
    // A closed pipe is nobody's fault.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

async fn ask(admin: SocketAddr, asked: &route::Asked) -> Result<Report, Failure> {
    let url = format!("http://{admin}{}", route::PATH);
    let client = reqwest::Client::builder().connect_timeout(parts::CONNECT_DEADLINE).timeout(DEADLINE).build()?;
    let answer = client.post(&url).json(asked).send().await.map_err(|e| {
        format!(
            "nothing was reloaded: nothing answers at {url}: {e}; is a process running with {}? If its `[admin] listen` is another one, \
             name it with `--admin ADDR`",
            asked.file.display()
        )
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.json().await?);
    }
    let text = answer.text().await.unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let detail = problem.as_ref().and_then(|p| p["detail"].as_str()).unwrap_or(&text);
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => Err(Failure::config(format!("nothing was changed: {detail}"))),
        _ => Err(Failure::new(format!("nothing was changed: {url} answered {status}: {detail}"))),
    }
}
