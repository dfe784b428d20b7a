//! `headwater dead-letters`: what could not be processed, with its reason and its original bytes (rule 13).

use std::{io::Write, path::Path, sync::Arc};

use futures::StreamExt;
use runtime::log::LogErrorKind;
use schemas::topics;
use serde_json::Value;

use crate::{
    exit::Failure,
    parts,
    tail::{self, Query},
};

/// One line for each.
pub fn list(file: &Path) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "OFFSET\tFAILED AT\tSTAGE\tNETWORK\tSEQUENCE\tINDEX\tREASON\tERROR")?;
    each(file, |letter| {
        let at = |pointer: &str| match letter.pointer(pointer) {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
        };
        let cells = ["/offset", "/timestamp", "/value/stage", "/value/network", "/value/sequence", "/value/index"];
        let cells: Vec<String> = cells.iter().chain(&["/value/reason", "/value/error"]).map(|p| at(p)).collect();
        writeln!(out, "{}", cells.join("\t"))?;
        Ok(true)
    })
}

/// One of them, whole.
pub fn show(file: &Path, offset: u64) -> Result<(), Failure> {
    let mut found = false;
    each(file, |letter| {
        if letter["offset"].as_u64() == Some(offset) {
            found = true;
            writeln!(std::io::stdout().lock(), "{letter:#}")?;
        }
        Ok(!found)
    })?;
    match found {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("no dead letter has offset {offset}; `headwater dead-letters list` tells them")))
        }
    }
}

/// Calls with every dead letter there is, oldest first, until it returns false.
fn each(file: &Path, mut call: impl FnMut(&Value) -> Result<bool, Failure>) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    parts::block_on(async {
        let query = Query { network: None, from: "beginning".into(), follow: false };
        let open = match parts::open_log_for_reading(&config).await {
            Ok(open) => open,
            Err(e) if e.kind == LogErrorKind::InUse => {
                return tail::remote_lines(&config, topics::DEAD_LETTERS, &query, |line| {
                    call(&serde_json::from_str(line).unwrap_or(Value::Null))
                })
                .await;
            }
            Err(e) => return Err(e.into()),
        };
        let codec = Arc::new(parts::codec(&config).await?);
        let mut lines =
            std::pin::pin!(tail::follow::records(open.log.clone(), codec, topics::DEAD_LETTERS, query).await?);
        while let Some(line) = lines.next().await {
            if !call(&serde_json::from_str(&line?)?)? {
                break;
            }
        }
        Ok(())
    })?
}
