//! ClickHouse's HTTP interface in front of the engine.
//!
//! Guarantee: nothing reaches the engine before host, user and password are right and a turn is free; every request has a
//! bound on body, statement, parameters, time, silence and, for analysts, on memory, rows and what it may name; a request
//! whose client is gone is ended.
//!
//! ```text
//!   connection ─▶ Hosts ─▶ Users ─▶ Request ─▶ Gate ─▶ worker thread: Job ─▶ Guard ─▶ engine
//!        ▲            body: pump ──▶ BodyReader ──▶ decompress ──▶ statement, data │
//!        └── ReplyBody ◀── Output ◀── compress ◀── chunks ◀────────────────────────┘
//! ```

mod analyst;
mod auth;
mod body;
mod compression;
mod error;
mod formats;
mod gate;
mod lexer;
mod reply;
mod request;
mod settings;
mod statement;
mod ticket;
mod work;

use super::config::{Config, Limits};
use super::credentials::Credentials;
use super::ffi::{Connection, Engine};
use analyst::Guard;
use auth::{Hosts, User, Users};
use compression::Coding;
use error::{Code, Failure};
use gate::Gate;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use reply::{AnyBody, Part, ReplyBody};
use request::Request;
use schemas::limits::store as limits;
use settings::Known;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use ticket::{CancelOnDrop, Ticket, Why};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
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
    guard: Guard,
    stages: Gate,
    analysts: Gate,
}

impl Front {
    /// Learns from the engine what it knows. `master` is the connection that booted it.
    pub fn new(
        engine: &'static Engine,
        master: &mut Connection,
        path: &str,
        config: &Config,
        credentials: &Credentials,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let text = |failure: Failure| failure.message;
        Ok(Self {
            engine,
            path: path.into(),
            database: config.database.clone(),
            limits: config.limits.clone(),
            hosts: Hosts::new(address, &config.hosts),
            users: Users::new(&config.user, credentials),
            known: Known::read(master).map_err(text)?,
            guard: Guard::read(master, &config.database).map_err(text)?,
            stages: Gate::new(config.limits.stages_concurrency, limits::QUEUE_TIME),
            analysts: Gate::new(config.limits.analyst_concurrency, limits::QUEUE_TIME),
        })
    }
}

/// Serves connections until `stop`, then lets running requests end within `grace`.
pub(super) async fn run(listener: TcpListener, front: Arc<Front>, stop: CancellationToken, grace: Duration) {
    let connections = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let tasks = TaskTracker::new();
    let abandon = CancellationToken::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = stop.cancelled() => break,
        };
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
        let (front, stop, abandon) = (Arc::clone(&front), stop.clone(), abandon.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| {
                let front = Arc::clone(&front);
                async move { Ok::<_, Infallible>(answer(front, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits::HEADERS_TIME)
                .max_buf_size(64 << 10)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
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

async fn answer(front: Arc<Front>, request: hyper::Request<Incoming>) -> Response<AnyBody> {
    match route(front, request).await {
        Ok(response) => response,
        Err(failure) => reply::refusal(&failure),
    }
}

async fn route(front: Arc<Front>, request: hyper::Request<Incoming>) -> Result<Response<AnyBody>, Failure> {
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
    let boundary = request::form_boundary(&parts.headers);
    let request = Request::new(&parts.method, &parts.headers, parameters)?;
    let body_coding = Coding::of_body(&parts.headers)?;
    let answer_coding = if request.plain { Coding::Identity } else { Coding::accepted(&parts.headers) };
    let (gate, time) = match user {
        User::Stages => (&front.stages, front.limits.stages_time),
        User::Analyst => (&front.analysts, front.limits.analyst_time + Duration::from_secs(5)),
    };
    let permit = gate.enter().await?;
    let runtime = tokio::runtime::Handle::current();
    let id = random_id()?;
    let ticket = Ticket::new(front.engine, Arc::clone(&front.path), &id, runtime.clone());
    let cancel = CancelOnDrop(ticket.clone()); // from here on, dropping this future ends the statement
    let (pieces, reader) = body::channel(runtime.clone());
    let (output, mut answer) = reply::channel(runtime);
    let job = work::Job { front: Arc::clone(&front), user, request, id, body_coding, answer_coding, boundary, ticket };
    let pump = tokio::spawn(body::pump(body, pieces));
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work::run(job, reader, &output);
    });
    let mut deadline = Box::pin(tokio::time::sleep(time));
    let head = tokio::select! {
        head = answer.recv() => head,
        () = &mut deadline => {
            cancel.0.cancel(Why::Deadline);
            pump.abort(); // a body that never comes would keep the worker waiting
            // The engine ends the statement and the worker says so.
            tokio::time::timeout(Duration::from_secs(5), answer.recv()).await.ok().flatten()
        }
    };
    match head {
        Some(Part::Head(status, headers)) => {
            let body = ReplyBody::new(answer, deadline, cancel);
            Ok(reply::with_head(status, headers, http_body_util::Either::Right(body)))
        }
        _ => Err(Code::Timeout.failure("Timeout exceeded: the statement took longer than the store allows")),
    }
}

/// 128 random bits as letters and digits.
fn random_id() -> Result<String, Failure> {
    let mut bytes = [0u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Code::BadArguments.failure(format!("no random numbers: {e}")))?;
    Ok(const_hex::encode(bytes))
}
