//! A receiver over HTTP that answers as it is told, and remembers what came.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::PATIENCE;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Came {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Came {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

type Answers = dyn Fn(usize, &Came) -> Response + Send + Sync;

#[derive(Clone)]
pub struct Receiver {
    came: Arc<Mutex<Vec<Came>>>,
    answers: Arc<Answers>,
    pub at: Option<SocketAddr>,
}

impl Receiver {
    /// Answers by the number of a request, from 0, and by what it says.
    pub async fn new(answers: impl Fn(usize, &Came) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Some(listener.local_addr().unwrap());
        let receiver = Self { came: Arc::default(), answers: Arc::new(answers), at };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at.unwrap())
    }
    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
    pub async fn got(&self, count: usize) -> Vec<Came> {
        let begun = tokio::time::Instant::now();
        loop {
            let came = self.came();
            if came.len() >= count {
                return came;
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {count} came", came.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn take(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let came = Came { method: parts.method.to_string(), path, headers: parts.headers, body };
    let number = {
        let mut all = receiver.came.lock().unwrap();
        all.push(came.clone());
        all.len() - 1
    };
    (receiver.answers)(number, &came)
}

pub fn status(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

pub fn said(status: u16, headers: &[(&'static str, &str)], body: impl ToString) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}
