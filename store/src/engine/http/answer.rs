//! What a worker writes: head, pieces, end, or why there is none of it.

use super::compression::Encoder;
use super::error::Failure;
use super::job::{Job, Stop};
use super::reply::{Headers, Output, Part, exception_block, failure_headers};
use crate::engine::ffi::Figures;
use bytes::Bytes;
use hyper::StatusCode;

/// The answer as far as it is written.
pub(super) struct Answer<'o> {
    output: &'o Output,
    encoder: Option<Encoder>,
    tag: String,
    query_id: String,
}

impl<'o> Answer<'o> {
    /// Nothing is written yet.
    pub fn new(output: &'o Output, job: &Job) -> Self {
        let query_id = job.request.query_id.clone().unwrap_or_else(|| job.id.clone());
        Self { output, encoder: None, tag: job.id.clone(), query_id }
    }

    /// The head of an answer that succeeds.
    pub fn begin(&mut self, job: &Job, format: &str, figures: Option<Figures>) -> Result<(), Stop> {
        let mut headers: Headers = vec![
            ("content-type", content_type(format).to_owned()),
            ("x-clickhouse-server-display-name", "headwater".to_owned()),
            ("x-clickhouse-query-id", self.query_id.clone()),
            ("x-clickhouse-timezone", "UTC".to_owned()),
            ("x-clickhouse-exception-tag", self.tag.clone()),
            ("x-clickhouse-summary", summary(figures.unwrap_or_default())),
        ];
        if !format.is_empty() {
            headers.push(("x-clickhouse-format", format.to_owned()));
        }
        if let Some(name) = job.answer_coding.name().filter(|_| !job.request.blocks_out) {
            headers.push(("content-encoding", name.to_owned()));
        }
        self.encoder = Some(Encoder::new(job.answer_coding, job.request.blocks_out));
        Ok(self.output.send(Part::Head(StatusCode::OK, headers))?)
    }

    /// A piece of the body.
    pub fn data(&mut self, piece: Bytes) -> Result<(), Stop> {
        match &mut self.encoder {
            Some(encoder) if !piece.is_empty() => Ok(self.output.send(Part::Data(encoder.piece(piece)?))?),
            _ => Ok(()),
        }
    }

    /// The end of the body.
    pub fn end(&mut self) -> Result<(), Stop> {
        if let Some(encoder) = self.encoder.take() {
            let tail = encoder.end()?;
            if !tail.is_empty() {
                self.output.send(Part::Data(tail))?;
            }
        }
        Ok(self.output.send(Part::End)?)
    }

    /// Says why there is no result, or no more of it.
    pub fn fail(&mut self, failure: &Failure) -> Result<(), Stop> {
        if self.encoder.is_some() {
            self.data(exception_block(&self.tag, failure))?;
            return self.end();
        }
        let mut headers = failure_headers(failure);
        headers.push(("x-clickhouse-query-id", self.query_id.clone()));
        self.output.send(Part::Head(failure.status, headers))?;
        self.output.send(Part::Data(format!("{}\n", failure.message).into()))?;
        Ok(self.output.send(Part::End)?)
    }
}

fn summary(figures: Figures) -> String {
    serde_json::json!({
        "read_rows": figures.read_rows.to_string(),
        "read_bytes": figures.read_bytes.to_string(),
        "written_rows": figures.written_rows.to_string(),
        "written_bytes": figures.written_bytes.to_string(),
        "total_rows_to_read": "0",
        "result_rows": figures.result_rows.to_string(),
        "result_bytes": "0",
        "elapsed_ns": format!("{:.0}", (figures.elapsed_seconds * 1e9).max(0.0)),
    })
    .to_string()
}

fn content_type(format: &str) -> &'static str {
    let name = format.to_ascii_lowercase();
    match name.as_str() {
        "json"
        | "jsoncompact"
        | "jsonstrings"
        | "jsoncompactstrings"
        | "jsoncolumns"
        | "jsoncompactcolumns"
        | "jsoncolumnswithmetadata"
        | "jsonobjecteachrow" => "application/json; charset=UTF-8",
        "tabseparated"
        | "tsv"
        | "tabseparatedwithnames"
        | "tsvwithnames"
        | "tabseparatedwithnamesandtypes"
        | "tsvwithnamesandtypes"
        | "tabseparatedraw"
        | "tabseparatedrawwithnames"
        | "tabseparatedrawwithnamesandtypes"
        | "tsvraw"
        | "tsvrawwithnames"
        | "tsvrawwithnamesandtypes"
        | "raw"
        | "rawwithnames"
        | "rawwithnamesandtypes"
        | "tskv" => "text/tab-separated-values; charset=UTF-8",
        "csv" => "text/csv; charset=UTF-8; header=absent",
        "jsonlines" | "jsonl" | "ndjson" => "application/x-ndjson; charset=UTF-8",
        _ if name.starts_with("json") && name.contains("eachrow") && !name.contains("objecteachrow") => {
            "application/x-ndjson; charset=UTF-8"
        }
        _ if name.starts_with("csv") => "text/csv; charset=UTF-8; header=present",
        _ if name.starts_with("rowbinary") => "application/octet-stream",
        "native" | "npy" | "rawblob" | "bsoneachrow" => "application/octet-stream",
        "parquet" => "application/vnd.apache.parquet",
        "arrow" => "application/vnd.apache.arrow.file",
        "arrowstream" => "application/vnd.apache.arrow.stream",
        "orc" => "application/vnd.apache.orc",
        "avro" => "application/vnd.apache.avro",
        "msgpack" => "application/msgpack",
        "xml" => "application/xml; charset=UTF-8",
        "markdown" | "md" => "text/markdown; charset=UTF-8",
        _ => "text/plain; charset=UTF-8",
    }
}
