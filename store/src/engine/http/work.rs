//! One request on its own thread: reads the statement, runs it on a connection, writes the answer.
//!
//! Guarantee: no state goes from one request to the next (a connection of its own, or one that is [`super::kept`]); an answer of
//! 200 to an insert comes after the engine has written and synced it; an error before the first byte has its status, a later one
//! its exception block. A connection that the engine has no memory for is an error that passes, never one of the request.

use super::answer::Answer;
use super::auth::User;
use super::body::BodyReader;
use super::caps::Temporary;
use super::compression;
use super::error::{Code, Failure};
use super::formats::Sending;
use super::hello;
use super::job::{Job, Stop};
use super::judge::{self, Kill, Verdict};
use super::kept::{Held, Told};
use super::reply::Output;
use super::request::form_fields;
use super::settings::{COMMENT, Pairs, Settings, replaced_by};
use super::statement::{Shape, leaves_no_trace, shape};
use crate::engine::describe::ANALYSTS_COMMENT;
use crate::engine::ffi::{Connection, QueryResult};
use crate::engine::sql::{quoted_name, quoted_text};
use crate::engine::tenants;
use schemas::limits::store as limits;
use std::io::{self, Read};

/// Runs the request to its end.
pub(super) fn run(mut job: Job, body: BodyReader, output: &Output) {
    let mut answer = Answer::new(output, &job);
    let stop = match job.execute(body, &mut answer) {
        Ok(held) => {
            // Before the last word: whoever has read it may have gone, and that ends nothing any more.
            let ended_by_itself = job.ticket.done();
            if let (Some(held), true) = (held, ended_by_itself) {
                job.front.kept(job.user).keep(held);
            }
            answer.end().err()
        }
        Err(stop) => {
            job.ticket.done();
            Some(stop)
        }
    };
    if let Some(Stop::Failed(mut failure)) = stop {
        if job.ticket.is_late() {
            failure = Code::Timeout
                .failure(format!("Timeout exceeded: the statement was ended after its time; {}", failure.message));
        }
        let _ = answer.fail(&failure); // a client that is gone reads nothing
    }
}

impl Job {
    /// Everything but the end of the answer. Returns the connection, where it may be kept.
    fn execute(&mut self, mut body: BodyReader, answer: &mut Answer<'_>) -> Result<Option<Held>, Stop> {
        let limit = self.front.limits.body;
        let mut text = std::mem::take(&mut self.request.query).into_bytes();
        if let Some(boundary) = self.boundary.take() {
            let mut form = Vec::new();
            compression::decoded(&mut body, self.body_coding, false, limits::STATEMENT_BYTES as u64)
                .read_to_end(&mut form)?;
            // The statement is entered under the id of the URL already.
            for (name, value) in form_fields(&form, &boundary)?.into_iter().filter(|(name, _)| name != "query_id") {
                self.request.add(name, value)?;
            }
            text.extend_from_slice(self.request.query.as_bytes());
        }
        if !text.is_empty() {
            text.push(b'\n'); // the body goes on where the parameter ends
        }
        let mut rest = compression::decoded(body, self.body_coding, self.request.blocks_in, limit);
        let shape = read_statement(&mut text, rest.as_mut())?;
        if self.ticket.is_gone() {
            return Err(Stop::Gone);
        }
        match shape {
            Shape::Insert { statement, format, data } => self.insert(&text, statement, &format, data, rest, answer),
            Shape::Other { format, select } => self.other(text.trim_ascii(), format, select, answer),
        }
    }

    /// A connection with the user's rights, the database and what every statement is told. An analyst's own settings follow when the
    /// statement is judged: the judge is not asked under them. `kept`: the statement leaves nothing behind.
    fn connect(&self, whole: bool, kept: bool) -> Result<Held, Stop> {
        if self.user == User::Analyst {
            return self.connect_analyst(whole).map(Held::once);
        }
        let told = self.told(whole)?;
        if let Some(held) = kept.then(|| self.front.kept(self.user).take(&told)).flatten() {
            self.ticket.runs_as(held.id());
            return Ok(held);
        }
        let mut connection = self.open()?;
        if self.user == User::Api {
            connection.query(format!("SET ROLE {}", tenants::ROLE).as_bytes(), "Null", &[])?;
        }
        connection.query(format!("USE {}", quoted_name(&told.database)).as_bytes(), "Null", &[])?;
        let comment = (COMMENT.to_owned(), format!("{} {} {}", told.user.word(), self.id, self.id));
        set(&mut connection, std::iter::once(comment).chain(told.settings.clone()), told.read_only)?;
        self.ticket.runs_as(&self.id);
        Ok(if kept { Held::again(connection, told, self.id.as_str().into()) } else { Held::once(connection) })
    }

    fn open(&self) -> Result<Connection, Stop> {
        let room = || Code::NoRoom.failure("the engine has no memory for another connection just now; try again");
        Ok(self.front.engine.connect(&[self.front.path.to_string()]).map_err(|_| room())?)
    }

    /// What a connection for this request of a stage or of the API is told.
    fn told(&self, whole: bool) -> Result<Told, Stop> {
        let asked_for = self.request.database.as_deref().filter(|name| !name.is_empty());
        let settings = self.settings();
        let asked = settings.asked(&self.request.settings, |_| None)?;
        Ok(Told {
            user: self.user,
            database: asked_for.unwrap_or(&self.front.database).to_owned(),
            settings: replaced_by(settings.standing(whole), asked),
            read_only: match self.user {
                User::Stages => self.request.read_only.then_some("2"),
                User::Api | User::Analyst => Some("1"),
            },
        })
    }

    fn connect_analyst(&self, whole: bool) -> Result<Connection, Stop> {
        let front = &self.front;
        let mut connection = self.open()?;
        front.judge.refresh(&mut connection)?;
        if front.walls.grants {
            connection.query(b"SET ROLE NONE", "Null", &[])?;
        }
        let asked = self.request.database.as_deref().filter(|name| !name.is_empty());
        if asked.is_some_and(|other| other != "default" && *other != *front.database) {
            let text = format!("Not enough privileges: analysts read the database {}", front.database);
            return Err(Code::AccessDenied.failure(text).into());
        }
        connection.query(format!("USE {}", quoted_name(&front.database)).as_bytes(), "Null", &[])?;
        let id = self.request.query_id.as_deref().unwrap_or(&self.id);
        let comment = (COMMENT.to_owned(), format!("{ANALYSTS_COMMENT} {} {id}", self.id));
        set(&mut connection, std::iter::once(comment).chain(self.settings().standing(whole)), None)?;
        self.ticket.runs_as(&self.id);
        Ok(connection)
    }

    fn settings(&self) -> Settings<'_> {
        let front = &self.front;
        let temporary =
            Temporary { share: front.room.share(front.limits.analyst_concurrency), floor: front.room.floor() };
        Settings::new(&front.known, &front.limits, self.user, temporary)
    }

    fn insert(
        &self,
        text: &[u8],
        statement: usize,
        format: &str,
        data: usize,
        mut rest: impl Read,
        answer: &mut Answer<'_>,
    ) -> Result<Option<Held>, Stop> {
        if self.user != User::Stages {
            return Err(Code::AccessDenied.failure("Not enough privileges: this user reads and cannot insert").into());
        }
        if self.request.read_only {
            return Err(Code::Readonly
                .failure("Cannot execute query in readonly mode: GET changes nothing, use POST")
                .into());
        }
        self.ticket.writes();
        let sql = text[..statement].trim_ascii();
        let mut held = self.connect(false, leaves_no_trace(sql))?;
        let mut stream = held.connection.insert(sql, format, &self.request.params)?;
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
        Ok(Some(held))
    }

    fn other(
        &self,
        sql: &[u8],
        format: Option<String>,
        select: bool,
        answer: &mut Answer<'_>,
    ) -> Result<Option<Held>, Stop> {
        if sql.is_empty() {
            return Err(Code::Syntax.failure("Empty query").into());
        }
        let asked = format.clone().or_else(|| self.request.format.clone());
        if hello::is(sql) {
            return self.hello(asked, answer).map(|()| None);
        }
        if self.user == User::Analyst && self.front.walls.judge {
            return self.analysts(sql, answer).map(|()| None);
        }
        let format = asked.unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
        let whole = self.whole(&format, select);
        let alone = leaves_no_trace(sql);
        let mut held = self.connect(whole, alone)?;
        let connection = &mut held.connection;
        if self.user == User::Analyst {
            let asked = self.asked(connection, &Pairs::new(), whole)?;
            set(connection, asked, self.front.walls.limits.then_some("1"))?;
        }
        if !alone && connection.classify(sql).is_some_and(|a| a.statements > 1) {
            return Err(Code::Syntax.failure("Syntax error (Multi-statements are not allowed)").into());
        }
        self.run(connection, sql, &format, whole, answer)?;
        Ok(Some(held))
    }

    /// An analyst's statement: what the judge makes of it runs, and nothing else.
    fn analysts(&self, sql: &[u8], answer: &mut Answer<'_>) -> Result<(), Stop> {
        let mut connection = self.connect_analyst(false)?;
        let verdict = self.front.judge.judge(&mut connection, sql, &self.request.params)?;
        let default = || {
            let format = judge::format_of(self.request.format.clone())?;
            Ok::<_, Failure>(format.unwrap_or_else(|| DEFAULT_FORMAT.to_owned()))
        };
        if self.only_kills && !matches!(verdict, Verdict::Kill(_)) {
            return Err(Code::AccessDenied.failure("KILL begins no other statement of analysts").into());
        }
        match verdict {
            Verdict::Run(statement) => {
                let format = statement.format.map_or_else(default, Ok)?;
                let whole = self.whole(&format, statement.select);
                let asked = self.asked(&mut connection, &statement.settings, whole)?;
                set(&mut connection, asked, self.front.walls.limits.then_some("1"))?;
                self.run(&mut connection, statement.text.as_bytes(), &format, whole, answer)
            }
            Verdict::Kill(kill) => {
                let format = kill.format.clone().map_or_else(default, Ok)?;
                self.kill(&mut connection, &kill, &format, answer)
            }
            Verdict::Nothing => answer.begin(self, "", None),
        }
    }

    /// What an analyst's request and statement set, judged; the statement's words count.
    fn asked(&self, connection: &mut Connection, statement: &Pairs, whole: bool) -> Result<Pairs, Stop> {
        let all: Pairs = self.request.settings.iter().chain(statement).cloned().collect();
        let mut asked = self.settings().asked(&all, |name| in_force(connection, name))?;
        for (_, value) in asked.iter_mut().filter(|(name, _)| name == judge::FILTERS) {
            *value = self.front.judge.filters(connection, value)?;
        }
        if whole && !asked.iter().any(|(name, _)| name == "max_result_bytes") {
            asked.push(("max_result_bytes".to_owned(), limits::WHOLE_RESULT_BYTES.to_string()));
        }
        Ok(asked)
    }

    /// Whether the result is made in one piece.
    fn whole(&self, format: &str, select: bool) -> bool {
        !select || self.request.wait || Sending::of(format) == Sending::Whole
    }

    fn run(
        &self,
        connection: &mut Connection,
        sql: &[u8],
        format: &str,
        whole: bool,
        answer: &mut Answer<'_>,
    ) -> Result<(), Stop> {
        if !whole {
            match self.stream(connection, sql, format, Sending::of(format), answer) {
                Err(Stop::Failed(failure)) if failure.message.contains("Streaming query is not support") => {}
                done => return done,
            }
        }
        let result = connection.query(sql, format, &self.request.params)?;
        answer.begin(self, format, Some(result.figures()))?;
        answer.data(result.into_bytes())
    }

    /// The first question of ClickHouse's Go client.
    fn hello(&self, format: Option<String>, answer: &mut Answer<'_>) -> Result<(), Stop> {
        let format = judge::format_of(format)?.unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
        let mut connection = self.connect(true, false)?.connection;
        if self.request.protocol_version.is_some_and(|version| version > 0) && format.eq_ignore_ascii_case("native") {
            let version = connection.query(b"SELECT version()", "TSVRaw", &[])?;
            answer.begin(self, &format, None)?;
            return answer.data(hello::block(String::from_utf8_lossy(version.as_ref()).trim_end()).into());
        }
        self.run(&mut connection, hello::STATEMENT, &format, true, answer)
    }

    /// Ends the analysts' own statements with these ids, and says which.
    fn kill(
        &self,
        connection: &mut Connection,
        kill: &Kill,
        format: &str,
        answer: &mut Answer<'_>,
    ) -> Result<(), Stop> {
        let found = self.front.running.end(&kill.query_ids, kill.test);
        let rows: Vec<String> = found
            .iter()
            .map(|id| {
                format!(
                    "({}, {}, 'analyst', '')",
                    quoted_text(if kill.test { "test" } else { "waiting" }),
                    quoted_text(id)
                )
            })
            .collect();
        let columns = "kill_status String, query_id String, user String, query String";
        let none = ["('', '', '', '')".to_owned()];
        let (rows, filter) = if rows.is_empty() { (&none[..], " WHERE 0") } else { (&rows[..], "") };
        let sql = format!("SELECT * FROM values('{columns}', {}){filter}", rows.join(", "));
        self.run(connection, sql.as_bytes(), format, true, answer)
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
            if self.ticket.is_gone() {
                return Err(Stop::Gone);
            }
            next = stream.next()?;
        }
        Ok(())
    }
}

/// The format of results for which none is named.
const DEFAULT_FORMAT: &str = "TabSeparated";

/// Sets these, and `readonly` as the last one: from there on nothing changes.
fn set(
    connection: &mut Connection,
    settings: impl IntoIterator<Item = (String, String)>,
    read_only: Option<&str>,
) -> Result<(), Stop> {
    let readonly = read_only.map(|value| ("readonly".to_owned(), value.to_owned()));
    let each = |(name, value): (String, String)| format!("{name} = {}", quoted_text(&value));
    let list: Vec<String> = settings.into_iter().chain(readonly).map(each).collect();
    if !list.is_empty() {
        connection.query(format!("SET {}", list.join(", ")).as_bytes(), "Null", &[])?;
    }
    Ok(())
}

/// A setting's present value.
fn in_force(connection: &mut Connection, name: &str) -> Option<String> {
    let sql = format!("SELECT value FROM system.settings WHERE name = {}", quoted_text(name));
    let value = connection.query(sql.as_bytes(), "TSVRaw", &[]).ok()?;
    let text = String::from_utf8_lossy(value.as_ref()).into_owned();
    text.strip_suffix('\n').map(str::to_owned)
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
