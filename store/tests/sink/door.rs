//! A door between a sink and its store: an HTTP proxy that can be shut, and that can hold statements back for ever, as if the sink
//! were killed before they left.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use store::Store;
use tokio::net::TcpListener;
use url::Url;

/// What becomes of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Let {
    /// Goes to the store.
    Through,
    /// Is never answered and never reaches the store.
    Hang,
    /// Its connection breaks, as if nobody were there.
    Break,
    /// The store is given another statement in its place, which fails with a code that says nothing (395).
    Refuse,
}

type Rule = Box<dyn FnMut(&str) -> Let + Send>;

/// The door. Its rule sees each statement's text.
#[derive(Clone)]
pub struct Door {
    url: Url,
    rule: Arc<Mutex<Rule>>,
}

impl Door {
    /// In front of a store.
    pub async fn before(target: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let url = format!("http://{at}/").parse().expect("a URL");
        let door = Self { url, rule: Arc::new(Mutex::new(Box::new(|_| Let::Through))) };
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let (rule, target) = (door.rule.clone(), target.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (rule, target, client) = (rule.clone(), target.clone(), client.clone());
                let service = service_fn(move |request| pass(request, rule.clone(), target.clone(), client.clone()));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    let _ = connection.await;
                });
            }
        });
        door
    }

    /// Judges statements like this from now on.
    pub fn rule(&self, rule: impl FnMut(&str) -> Let + Send + 'static) {
        *self.rule.lock().expect("a rule") = Box::new(rule);
    }

    /// The store through this door.
    pub fn store(&self, store: &Store) -> Store {
        let mut config = store.config().clone();
        config.url = self.url.clone();
        Store::connect(config).expect("a store")
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection breaks")]
struct Broken;

async fn pass(
    request: Request<Incoming>,
    rule: Arc<Mutex<Rule>>,
    target: Url,
    client: Client<HttpConnector, Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, Broken> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let named = parts.uri.query().map(|q| url::form_urlencoded::parse(q.as_bytes()));
    let named = named.and_then(|mut pairs| pairs.find(|(name, _)| name == "query").map(|(_, text)| text.into_owned()));
    let statement = named.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    let mut body = body;
    let verdict = (rule.lock().expect("a rule"))(&statement);
    match verdict {
        Let::Through | Let::Refuse => {}
        Let::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Let::Break => return Err(Broken),
    }
    let mut path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    if verdict == Let::Refuse {
        (path, body) = ("/".to_owned(), Bytes::from_static(b"SELECT throwIf(1)"));
        parts.headers.remove(hyper::header::CONTENT_TYPE);
    }
    let base = target.as_str().trim_end_matches('/').to_owned();
    parts.uri = format!("{base}{path}").parse().expect("a URI");
    parts.headers.remove(hyper::header::TRANSFER_ENCODING);
    parts.headers.remove(hyper::header::CONTENT_LENGTH);
    let answer = client.request(Request::from_parts(parts, Full::new(body))).await.map_err(|_| Broken)?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if name != hyper::header::TRANSFER_ENCODING && name != hyper::header::CONTENT_LENGTH {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    Ok(answer)
}

/// Whether a request writes. Statements with parameters come as a form, the text somewhere in it.
pub fn writes(statement: &str) -> bool {
    statement.contains("INSERT INTO")
}
