//! ClickHouse's HTTP interface in front of the engine.
//!
//! Guarantee: nothing reaches the engine before host, user and password are right and a turn is free; every request has a
//! bound on body, statement, parameters, time, silence, for the API and analysts also on memory and, for analysts, on rows and what
//! it may name; a request whose client is gone is ended. Sink, API and analysts have turns, a queue, connections and memory of
//! their own, which no other can take: however much is read, the sink writes. A connection that has not said who it is holds a
//! place that newer ones may take from it (rule 28).
//!
//! ```text
//!   connection ─▶ Hosts ─▶ Users ─▶ Request ─▶ Gate ─▶ worker thread: Job ─▶ Judge ─▶ engine
//!        ▲            body: pump ──▶ BodyReader ──▶ decompress ──▶ statement, data │
//!        └── ReplyBody ◀── Output ◀── compress ◀── chunks ◀────────────────────────┘
//! ```

mod answer;
mod auth;
mod body;
mod caps;
mod compression;
mod connections;
mod error;
mod formats;
mod gate;
mod hello;
mod job;
mod judge;
mod kept;
mod lexer;
mod reply;
mod request;
mod running;
mod settings;
mod statement;
mod ticket;
mod work;

use super::config::{Config, Limits, Walls};
use super::credentials::Credentials;
use super::describe;
use super::ffi::{Connection, Engine};
use super::room::Room;
use auth::{Hosts, User, Users};
use compression::Coding;
use connections::{Connections, Seat};
use error::{Code, Failure};
use gate::Gate;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use judge::Judge;
use kept::Kept;
use reply::{AnyBody, Part, ReplyBody};
use request::Request;
use running::Running;
use runtime::private;
use schemas::limits::store as limits;
use settings::Known;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use ticket::{CancelOnDrop, Ticket, Waiting, Why};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all requests share.
pub(super) struct Front {
    engine: &'static Engine,
    /// `--path=…`, the argument that every connection repeats.
    path: Arc<str>,
    database: String,
    limits: Limits,
    hosts: Hosts,
    users: Users,
    known: Known,
    judge: Judge,
    walls: Walls,
    /// Statements of analysts, which they see and end.
    running: Arc<Running>,
    /// Statements of the API.
    api_running: Arc<Running>,
    room: Room,
    stages: Gate,
    api: Gate,
    analysts: Gate,
    /// For ending statements, which must not wait for those that it ends.
    kills: Gate,
    connections: Connections,
    /// Connections to the engine that wait for the stages' next statements.
    stages_kept: Kept,
    /// Those for the API's.
    api_kept: Kept,
}

impl Front {
    /// Learns from the engine what it knows, and makes what describes it to analysts. `master` is the connection that booted it;
    /// `analyst`: whether there is the analysts' user.
    #[expect(clippy::too_many_arguments, reason = "called once, by the wiring")]
    pub fn new(
        engine: &'static Engine,
        master: &mut Connection,
        path: &str,
        config: &Config,
        credentials: &Credentials,
        address: SocketAddr,
        analyst: bool,
        room: Room,
    ) -> Result<Self, String> {
        let text = |failure: Failure| failure.message;
        let known = Known::read(master).map_err(text)?;
        let (readable, writable) = (judge::readable_tables(), known.writable(&config.limits));
        describe::make(master, &config.database, readable, &writable).map_err(|exception| exception.0)?;
        Ok(Self {
            engine,
            path: path.into(),
            database: config.database.clone(),
            limits: config.limits.clone(),
            hosts: Hosts::new(address, &config.hosts),
            users: Users::new(&config.user, &config.api_user, credentials, analyst),
            known,
            judge: Judge::read(master, &config.database, config.analyst_contracts).map_err(text)?,
            walls: config.walls,
            running: Arc::default(),
            api_running: Arc::default(),
            room,
            api: Gate::with_queue(config.limits.api_concurrency, limits::API_QUEUE_LENGTH, limits::QUEUE_TIME),
            stages: Gate::new(config.limits.stages_concurrency, limits::QUEUE_TIME),
            analysts: Gate::new(config.limits.analyst_concurrency, limits::QUEUE_TIME),
            kills: Gate::new(limits::KILLS, limits::QUEUE_TIME),
            connections: Connections::new(),
            stages_kept: Kept::new(limits::STAGES_KEPT),
            api_kept: Kept::new(limits::API_KEPT),
        })
    }

    /// The connections that wait for this user's statements. Analysts have none: nothing of theirs is ever given there.
    fn kept(&self, user: User) -> &Kept {
        match user {
            User::Stages => &self.stages_kept,
            User::Api | User::Analyst => &self.api_kept,
        }
    }

    /// Closes the connections that are kept, and keeps none from now on.
    pub fn close(&self) {
        self.stages_kept.close();
        self.api_kept.close();
    }

    /// Ends every statement of analysts.
    pub fn end_analysts(&self) {
        self.running.end_all();
    }

    /// Ends every statement of analysts and of the API.
    pub fn end_readers(&self) {
        self.end_analysts();
        self.api_running.end_all();
    }
}

/// Serves connections until `stop`, then lets running requests end within `grace`.
pub(super) async fn run(listener: TcpListener, front: Arc<Front>, stop: CancellationToken, grace: Duration) {
    let tasks = TaskTracker::new();
    let abandon = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await; // out of file descriptors: let some be freed
                continue;
            }
        };
        let seat = front.connections.enter();
        let (front, stop, abandon) = (Arc::clone(&front), stop.clone(), abandon.clone());
        tasks.spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = {
                let seat = seat.clone();
                service_fn(move |request| {
                    let (front, seat) = (Arc::clone(&front), seat.clone());
                    async move { Ok::<_, Infallible>(answer(front, seat, request).await) }
                })
            };
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits::HEADERS_TIME)
                .max_buf_size(64 << 10)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = seat.lost() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                _ = connection => {}
                () = abandon.cancelled() => {}
            }
        });
    }
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        abandon.cancel();
        tasks.wait().await;
    }
}

async fn answer(front: Arc<Front>, seat: Arc<Seat>, request: hyper::Request<Incoming>) -> Response<AnyBody> {
    match route(front, &seat, request).await {
        Ok(response) => response,
        Err(failure) => reply::refusal(&failure),
    }
}

async fn route(
    front: Arc<Front>,
    seat: &Arc<Seat>,
    request: hyper::Request<Incoming>,
) -> Result<Response<AnyBody>, Failure> {
    let (parts, body) = request.into_parts();
    front.hosts.check(&parts.uri, &parts.headers)?;
    let text = || vec![("content-type", "text/plain; charset=UTF-8".to_owned())];
    match (&parts.method, parts.uri.path()) {
        (&Method::GET | &Method::HEAD, "/ping" | "/replicas_status") => {
            return Ok(reply::short(StatusCode::OK, text(), "Ok.\n"));
        }
        (&Method::GET | &Method::HEAD | &Method::POST, "/") => {}
        (_, "/") => return Ok(reply::short(StatusCode::METHOD_NOT_ALLOWED, text(), "GET or POST\n")),
        _ => return Ok(reply::short(StatusCode::NOT_FOUND, text(), "There is no handle here; queries go to /\n")),
    }
    let parameters = request::parameters(&parts.uri)?;
    let empty = parts.method != Method::POST && !parameters.iter().any(|(name, _)| name == "query");
    if empty && body.is_end_stream() {
        return Ok(reply::short(StatusCode::OK, text(), "Ok.\n"));
    }
    let user = match front.users.authenticate(&parts.headers, &parameters) {
        Ok(user) => user,
        Err(failure) => {
            tokio::time::sleep(Duration::from_millis(200)).await; // guessing takes its time
            return Err(failure);
        }
    };
    seat.belongs_to(&front.connections, user)?;
    let boundary = request::form_boundary(&parts.headers);
    let request = Request::new(&parts.method, &parts.headers, parameters)?;
    let body_coding = Coding::of_body(&parts.headers)?;
    let answer_coding = if request.plain { Coding::Identity } else { Coding::accepted(&parts.headers) };
    let time = match user {
        User::Stages => front.limits.stages_time,
        User::Api => limits::API_TIME + Duration::from_secs(5),
        User::Analyst => front.limits.analyst_time + Duration::from_secs(5),
    };
    // A reader's text is short: it is here before it takes a turn, so that a slow sender holds none.
    let (body, text) = match user {
        User::Stages => (Some(body), None),
        User::Api | User::Analyst => (None, Some(body::short(body).await?)),
    };
    // Where the statement stands is looked at, plain; whoever gets past as a KILL and is none is turned away by the worker.
    let start = match (&text, request.query.is_empty()) {
        (Some(body), true) if body_coding == Coding::Identity && !request.blocks_in => body.as_ref(),
        _ => request.query.as_bytes(),
    };
    let kills = start.trim_ascii_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"KILL "));
    let (gate, only_kills) = match user {
        User::Stages => (&front.stages, false),
        User::Api => (&front.api, false),
        User::Analyst if kills => (&front.kills, true),
        User::Analyst => (&front.analysts, false),
    };
    let runtime = tokio::runtime::Handle::current();
    // Letters and digits, for it stands in statements.
    let id = private::random::<16>()
        .map(const_hex::encode)
        .map_err(|e| Code::BadArguments.failure(format!("no random numbers: {e}")))?;
    let ticket = Ticket::new(front.engine, Arc::clone(&front.path), runtime.clone());
    let name = request.query_id.as_deref().unwrap_or(&id);
    let entered = match user {
        User::Stages => None,
        User::Api => Some(front.api_running.enter(&id, &ticket)),
        User::Analyst => Some(front.running.enter(name, &ticket)),
    };
    let waiting = Waiting::new(&ticket);
    let permit = tokio::select! {
        permit = gate.enter() => permit?,
        () = ticket.cancelled() => return Err(Code::Cancelled.failure("Query was cancelled before its turn came")),
    };
    waiting.over();
    let cancel = CancelOnDrop(ticket.clone()); // from here on, dropping this future ends the statement
    let gone = CancellationToken::new();
    let going = gone.clone().drop_guard();
    let (pieces, reader) = body::channel(runtime.clone());
    let (output, mut answer) = reply::channel(runtime, ticket.clone());
    let job = job::Job {
        front: Arc::clone(&front),
        user,
        request,
        id,
        body_coding,
        answer_coding,
        boundary,
        only_kills,
        ticket: ticket.clone(),
    };
    let pump = tokio::spawn(async move {
        match body {
            Some(body) => body::pump(body, pieces).await,
            None => body::whole(text.unwrap_or_default(), pieces).await,
        }
    });
    tokio::spawn(keep_time(time, ticket.clone(), pump.abort_handle(), gone, Arc::clone(seat)));
    tokio::task::spawn_blocking(move || {
        let _held = (permit, entered);
        work::run(job, reader, &output);
    });
    let late = async {
        ticket.cancelled().await;
        tokio::time::sleep(Duration::from_secs(5)).await; // the engine ends the statement and the worker says so
    };
    let head = tokio::select! {
        head = answer.recv() => head,
        () = late => None,
    };
    match head {
        Some(Part::Head(status, headers)) => {
            let body = ReplyBody::new(answer, cancel, going);
            Ok(reply::with_head(status, headers, http_body_util::Either::Right(body)))
        }
        _ => Err(Code::Timeout.failure("Timeout exceeded: the statement took longer than the store allows")),
    }
}

/// Ends the statement at its deadline, whether its client reads or not, and closes the connection of a client that does not read
/// the end of a statement that was told to end. `gone`: the answer is, one way or the other.
async fn keep_time(time: Duration, ticket: Ticket, body: AbortHandle, gone: CancellationToken, seat: Arc<Seat>) {
    tokio::select! {
        () = tokio::time::sleep(time) => {
            ticket.cancel(Why::Deadline);
            body.abort(); // a body that never comes would keep the worker waiting
        }
        () = ticket.cancelled() => {}
        () = gone.cancelled() => return,
    }
    tokio::select! {
        () = gone.cancelled() => {}
        () = tokio::time::sleep(limits::CLOSE_WITHIN) => seat.close(),
    }
}
