//! One request on its own thread: reads the statement, runs it on a fresh connection, writes the answer.
//!
//! Guarantee: no state goes from one request to the next (a connection each); an answer of 200 to an insert comes after the
//! engine has written and synced it; an error before the first byte has its status, a later one its exception block.

use super::auth::User;
use super::body::BodyReader;
use super::compression::{self, Coding, Encoder, TooLarge};
use super::error::{Code, Failure};
use super::formats::Sending;
use super::reply::{Gone, Headers, Output, Part, exception_block, failure_headers};
use super::request::{Request, form_fields};
use super::statement::{Shape, shape};
use super::ticket::Ticket;
use super::{Front, settings};
use crate::engine::ffi::{Connection, Exception, Figures, QueryResult};
use bytes::Bytes;
use hyper::StatusCode;
use schemas::limits::store as limits;
use std::io::{self, Read};
use std::sync::Arc;

/// Everything that a worker needs of its request.
pub(super) struct Job {
    pub front: Arc<Front>,
    pub user: User,
    pub request: Request,
    /// The request's random id: its `log_comment`, and the tag of its exception block.
    pub id: String,
    pub body_coding: Coding,
    pub answer_coding: Coding,
    /// Set when the body is a form.
    pub boundary: Option<String>,
    pub ticket: Ticket,
}

/// Why a worker stops early.
enum Stop {
    Failed(Failure),
    /// Nobody reads the answer.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Exception> for Stop {
    fn from(exception: Exception) -> Self {
        Self::Failed(exception.into())
    }
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        let failure = match error.get_ref() {
            Some(inner) if inner.is::<TooLarge>() => Code::TooLarge.failure(error),
            _ if error.kind() == io::ErrorKind::UnexpectedEof => {
                Code::CannotRead.failure(format!("the body ended early: {error}"))
            }
            _ => Code::CannotDecompress.failure(format!("the body cannot be read: {error}")),
        };
        Self::Failed(failure)
    }
}

/// Runs the request to its end.
pub(super) fn run(mut job: Job, body: BodyReader, output: &Output) {
    let mut answer = Answer { output, encoder: None, tag: job.id.clone() };
    let stop = job.execute(body, &mut answer).err();
    job.ticket.done();
    if let Some(Stop::Failed(mut failure)) = stop {
        if job.ticket.is_late() {
            failure = Code::Timeout
                .failure(format!("Timeout exceeded: the statement was ended after its time; {}", failure.message));
        }
        let _ = answer.fail(&failure); // a client that is gone reads nothing
    }
}

impl Job {
    fn execute(&mut self, mut body: BodyReader, answer: &mut Answer<'_>) -> Result<(), Stop> {
        let limit = self.front.limits.body;
        let mut text = std::mem::take(&mut self.request.query).into_bytes();
        if let Some(boundary) = self.boundary.take() {
            let mut form = Vec::new();
            compression::decoded(&mut body, self.body_coding, false, limits::STATEMENT_BYTES as u64)
                .read_to_end(&mut form)?;
            for (name, value) in form_fields(&form, &boundary)? {
                self.request.add(name, value)?;
            }
            text.extend_from_slice(self.request.query.as_bytes());
        }
        if !text.is_empty() {
            text.push(b'\n'); // the body goes on where the parameter ends
        }
        let mut rest = compression::decoded(body, self.body_coding, self.request.blocks_in, limit);
        let shape = read_statement(&mut text, rest.as_mut())?;
        if self.ticket.is_cancelled() {
            return Err(Stop::Gone);
        }
        match shape {
            Shape::Insert { statement, format, data } => self.insert(&text, statement, &format, data, rest, answer),
            Shape::Other { format, select } => {
                let format = format.or(self.request.format.take()).unwrap_or_else(|| "TabSeparated".to_owned());
                self.other(text.trim_ascii(), &format, select, answer)
            }
        }
    }

    /// A connection with the request's settings, the user's rights and the database.
    fn connect(&self, whole: bool) -> Result<Connection, Stop> {
        let front = &self.front;
        let mut arguments = vec![front.path.to_string()];
        let (request, limits) = (&self.request, &front.limits);
        let settings = settings::arguments(
            &front.known,
            limits,
            self.user,
            &request.settings,
            &self.id,
            whole,
            request.read_only,
        )?;
        arguments.extend(settings);
        let mut connection = front.engine.connect(&arguments).map_err(|_| {
            Code::BadArguments
                .failure("the engine refuses the request's settings: some value is not of its setting's type")
        })?;
        let asked = request.database.as_deref().filter(|name| !name.is_empty());
        let database = match self.user {
            User::Stages => asked.unwrap_or(&front.database),
            User::Analyst => {
                connection.query(b"SET ROLE NONE", "Null", &[])?;
                match asked {
                    Some(other) if other != "default" && *other != *front.database => {
                        let text = format!("Not enough privileges: analysts read the database {}", front.database);
                        return Err(Code::AccessDenied.failure(text).into());
                    }
                    _ => &front.database,
                }
            }
        };
        let use_database = format!("USE `{}`", database.replace('\\', "\\\\").replace('`', "\\`"));
        connection.query(use_database.as_bytes(), "Null", &[])?;
        Ok(connection)
    }

    fn insert(
        &self,
        text: &[u8],
        statement: usize,
        format: &str,
        data: usize,
        mut rest: impl Read,
        answer: &mut Answer<'_>,
    ) -> Result<(), Stop> {
        if self.user == User::Analyst {
            return Err(Code::AccessDenied.failure("Not enough privileges: analysts cannot insert").into());
        }
        if self.request.read_only {
            return Err(Code::Readonly
                .failure("Cannot execute query in readonly mode: GET changes nothing, use POST")
                .into());
        }
        let mut connection = self.connect(false)?;
        let mut stream = connection.insert(text[..statement].trim_ascii(), format, &self.request.params)?;
        if data < text.len() {
            stream.append(&text[data..])?;
        }
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            let read = fill(&mut rest, &mut buffer)?; // an error drops the stream, which cancels the insert
            if self.ticket.is_cancelled() {
                return Err(Code::Timeout.failure("the insert was cancelled before its end").into());
            }
            if read > 0 {
                stream.append(&buffer[..read])?;
            }
            if read < buffer.len() {
                break;
            }
        }
        let figures = stream.finish()?;
        answer.begin(self, "", Some(figures))?;
        answer.end()
    }

    fn other(&self, sql: &[u8], format: &str, select: bool, answer: &mut Answer<'_>) -> Result<(), Stop> {
        if sql.is_empty() {
            return Err(Code::Syntax.failure("Empty query").into());
        }
        let sending = Sending::of(format);
        let whole = !select || self.request.wait || sending == Sending::Whole;
        let mut connection = self.connect(whole)?;
        if self.user == User::Analyst {
            self.front.guard.check(&mut connection, sql, &self.request.params)?;
        }
        // clickhouse-go speaks plain blocks to a server of revision 0, the only ones that the engine makes.
        let preflight = sql == b"SELECT displayName(), version(), revision(), timezone()";
        let sql = if preflight {
            &b"SELECT displayName(), version(), toUInt32(0) AS `revision()`, timezone()"[..]
        } else {
            sql
        };
        if !whole {
            match self.stream(&mut connection, sql, format, sending, answer) {
                Err(Stop::Failed(failure)) if failure.message.contains("Streaming query is not support") => {}
                done => return done,
            }
        }
        if self.user == User::Stages && connection.classify(sql).is_some_and(|a| a.statements > 1) {
            return Err(Code::Syntax.failure("Syntax error (Multi-statements are not allowed)").into());
        }
        let result = connection.query(sql, format, &self.request.params)?;
        answer.begin(self, format, Some(result.figures()))?;
        answer.data(result.into_bytes())?;
        answer.end()
    }

    fn stream(
        &self,
        connection: &mut Connection,
        sql: &[u8],
        format: &str,
        sending: Sending,
        answer: &mut Answer<'_>,
    ) -> Result<(), Stop> {
        let mut stream = connection.stream(sql, format, &self.request.params)?;
        let first = stream.next()?; // before the head, so that an early error has its status
        let mut header = None;
        answer.begin(self, format, first.as_ref().map(QueryResult::figures))?;
        let mut next = first;
        while let Some(chunk) = next {
            answer.data(sending.cut(chunk.into_bytes(), &mut header))?;
            if self.ticket.is_cancelled() && !self.ticket.is_late() {
                return Err(Stop::Gone);
            }
            next = stream.next()?;
        }
        answer.end()
    }
}

/// Reads until the statement's shape is clear: all of it, or up to an insert's data. Looks again only when the text has
/// doubled.
fn read_statement(text: &mut Vec<u8>, rest: &mut dyn Read) -> Result<Shape, Stop> {
    let too_long = || Code::TooLarge.failure(format!("the statement is longer than {} bytes", limits::STATEMENT_BYTES));
    let mut look_at = 0;
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        if text.len() >= look_at {
            if let Some(found) = shape(text, false) {
                return Ok(found);
            }
            look_at = (text.len() * 2).max(1);
        }
        let read = rest.read(&mut buffer)?;
        if read == 0 {
            // Complete text always has a shape; none left means that it is empty.
            return Ok(shape(text, true).unwrap_or(Shape::Other { format: None, select: false }));
        }
        if text.len() + read > limits::STATEMENT_BYTES {
            return Err(too_long().into());
        }
        text.extend_from_slice(&buffer[..read]);
    }
}

/// Fills the buffer unless the body ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// The answer as far as it is written.
struct Answer<'o> {
    output: &'o Output,
    encoder: Option<Encoder>,
    tag: String,
}

impl Answer<'_> {
    fn begin(&mut self, job: &Job, format: &str, figures: Option<Figures>) -> Result<(), Stop> {
        let mut headers: Headers = vec![
            ("content-type", content_type(format).to_owned()),
            ("x-clickhouse-server-display-name", "headwater".to_owned()),
            ("x-clickhouse-query-id", job.request.query_id.clone().unwrap_or_else(|| job.id.clone())),
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

    fn data(&mut self, piece: Bytes) -> Result<(), Stop> {
        match &mut self.encoder {
            Some(encoder) if !piece.is_empty() => Ok(self.output.send(Part::Data(encoder.piece(piece)?))?),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        if let Some(encoder) = self.encoder.take() {
            let tail = encoder.end()?;
            if !tail.is_empty() {
                self.output.send(Part::Data(tail))?;
            }
        }
        Ok(self.output.send(Part::End)?)
    }

    fn fail(&mut self, failure: &Failure) -> Result<(), Stop> {
        if self.encoder.is_some() {
            self.data(exception_block(&self.tag, failure))?;
            return self.end();
        }
        self.output.send(Part::Head(failure.status, failure_headers(failure)))?;
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
        "json" | "jsoncompact" | "jsonstrings" | "jsoncompactstrings" | "jsoncolumns" => {
            "application/json; charset=UTF-8"
        }
        "tabseparated"
        | "tsv"
        | "tabseparatedwithnames"
        | "tsvwithnames"
        | "tabseparatedwithnamesandtypes"
        | "tsvwithnamesandtypes" => "text/tab-separated-values; charset=UTF-8",
        _ if name.starts_with("jsoneachrow") || name.starts_with("jsoncompacteachrow") => {
            "application/x-ndjson; charset=UTF-8"
        }
        _ if name.starts_with("csv") => "text/csv; charset=UTF-8; header=present",
        _ if name.starts_with("rowbinary") || name == "native" || name == "parquet" => "application/octet-stream",
        _ => "text/plain; charset=UTF-8",
    }
}
