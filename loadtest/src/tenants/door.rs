//! What it costs to be let in: the same requests without a credential, and with each kind of one.
//!
//! Guarantee: one binary, in one process that lets everybody in and in another that lets in who proves to be somebody, on one node; every kind
//! has its turn in each round, one request after the other on a kept connection; and each answer is a 200. CPU is that of the API's threads.

use super::Ground;
use crate::bench::instance::{Instance, Setting};
use crate::bench::{NETWORK, Node};
use crate::failure::Failure;
use control::{Begun, Caller, Control, Joining, Mode, Networks, NewKey, NewPerson, Origin, Scopes, Trust};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Blocks of the chain.
const BLOCKS: u64 = 20;
/// How long the last of them may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The API's threads.
const STAGE: &str = "api";
/// How long what is made here is good.
const LIFE: Duration = Duration::from_secs(3_600);
/// Requests of each kind before it is measured.
const WARM: u32 = 200;
/// Lines of `[api]`: nobody is too fast here.
const UNBOUNDED: &str = "rate_limit = \"1000000/s\"";

/// A route, and one of so many requests goes to it.
#[derive(Clone, Copy, Debug)]
struct Route {
    path: &'static str,
    share: u32,
}

/// One that is answered from memory, and one that asks the store.
const ROUTES: [Route; 2] =
    [Route { path: "/providers/health?limit=1", share: 1 }, Route { path: "/blocks?limit=1", share: 20 }];

/// What somebody comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// Nothing.
    Nothing,
    /// A key that is known.
    Key,
    /// A person's cookie that is known.
    Cookie,
    /// An access token that is known.
    Token,
    /// Another access token each time.
    NewToken,
}

impl Way {
    const ALL: [Self; 5] = [Self::Nothing, Self::Key, Self::Cookie, Self::Token, Self::NewToken];

    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "no credential",
            Self::Key => "a known key",
            Self::Cookie => "a known cookie",
            Self::Token => "a known access token",
            Self::NewToken => "a new access token each",
        }
    }

    /// Whether the process remembers it.
    pub(super) fn is_known(self) -> bool {
        !matches!(self, Self::Nothing | Self::NewToken)
    }

    /// How many microseconds of CPU more than without one it is to cost at most.
    pub(super) fn aim(self) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::NewToken => Some(200.0),
            Self::Key | Self::Cookie | Self::Token => Some(50.0),
        }
    }
}

/// What requests of one kind cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cost {
    /// What they came with.
    pub way: Way,
    /// Requests.
    pub requests: u32,
    /// From request to answer, the client's part included, microseconds on the mean.
    pub took_us: f64,
    /// CPU of the API's threads, microseconds on the mean.
    pub cpu_us: f64,
}

/// What it costs to be let in to a route.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Door {
    /// The route.
    pub path: &'static str,
    /// Each kind, nothing first.
    pub costs: Vec<Cost>,
}

/// Somebody, with all that one can come with.
struct Visitor {
    control: Control,
    begun: Begun,
    key: HeaderValue,
    cookie: HeaderValue,
    token: HeaderValue,
}

impl Visitor {
    /// A person with an organisation of its own, made in the control store beside the process.
    async fn new(instance: &Instance) -> Result<Self, Failure> {
        let config = runtime::config::load(&instance.config())?;
        let control = Control::open(&config.control, Mode::Accounts, Trust::default()).await?;
        let person = NewPerson {
            email: "visitor@example.org".to_owned(),
            name: String::new(),
            password: None,
            verified: true,
            identity: None,
        };
        let joining = Joining::Found("Visitors".to_owned());
        let signed = control.sign_up(Origin::default(), person, joining).await?;
        let begun = control.begin_person_session(&signed.person.id, None, LIFE).await?;
        let new = NewKey {
            name: "hot".to_owned(),
            scopes: Scopes::read(&["chains:read"])?,
            networks: Networks::All,
            expires_in: None,
        };
        let key = control.create_key(Caller::here(&begun.who), new).await?;
        let key = bearer(key.text.expose())?;
        let cookie = HeaderValue::from_str(&format!("hw_session={}", begun.cookie.expose()))?;
        let token = control.access_token(&begun.who, &begun.session, LIFE).await?;
        let token = bearer(token.text.expose())?;
        Ok(Self { control, begun, key, cookie, token })
    }

    /// Headers of so many requests: one for all, or another for each.
    async fn headers(&self, way: Way, requests: u32) -> Result<Vec<HeaderMap>, Failure> {
        let one = |name: HeaderName, value: HeaderValue| HeaderMap::from_iter([(name, value)]);
        Ok(match way {
            Way::Nothing => vec![HeaderMap::new()],
            Way::Key => vec![one(AUTHORIZATION, self.key.clone())],
            Way::Cookie => vec![one(COOKIE, self.cookie.clone())],
            Way::Token => vec![one(AUTHORIZATION, self.token.clone())],
            Way::NewToken => {
                let mut all = Vec::new();
                for _ in 0..requests {
                    let token = self.control.access_token(&self.begun.who, &self.begun.session, LIFE).await?;
                    all.push(one(AUTHORIZATION, bearer(token.text.expose())?));
                }
                all
            }
        })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    Ok(HeaderValue::from_str(&format!("Bearer {token}"))?)
}

/// Starts both processes, and measures.
pub(super) async fn measure(ground: &Ground) -> Result<Vec<Door>, Failure> {
    let node = Node::start(ground.data.clone(), BLOCKS, ground.at_ms).await?;
    node.simulator.clear_faults();
    let keep = ground.args.keep;
    let open = Setting { keep, api: UNBOUNDED, ..Setting::of("") };
    let mut open = Instance::start(&ground.binary, &node, &open).await?;
    let shut = Setting { keep, api: UNBOUNDED, ..Setting::of("[auth]\nmode = \"accounts\"\n") };
    let mut shut = match Instance::start(&ground.binary, &node, &shut).await {
        Ok(shut) => shut,
        Err(error) => {
            open.stop().await?;
            return Err(error);
        }
    };
    let measured = both(ground, &open, &shut).await;
    let stopped = (open.stop().await, shut.stop().await);
    let doors = measured.map_err(|e| open.explain(shut.explain(e)))?;
    stopped.0?;
    stopped.1?;
    Ok(doors)
}

async fn both(ground: &Ground, open: &Instance, shut: &Instance) -> Result<Vec<Door>, Failure> {
    let visitor = Visitor::new(shut).await?;
    let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
    let here = |way: Way| if way == Way::Nothing { open } else { shut };
    for way in [Way::Nothing, Way::Key] {
        until_there(&client, here(way), visitor.headers(way, 1).await?.pop().unwrap_or_default()).await?;
    }
    let mut doors = Vec::new();
    for route in ROUTES {
        let requests = (ground.args.requests / route.share).max(1);
        for way in Way::ALL {
            let warm = WARM.min(requests);
            rounds(&client, here(way), route, (warm, &visitor.headers(way, warm).await?)).await?;
        }
        let mut costs = Way::ALL.map(|way| Cost { way, requests: 0, took_us: 0.0, cpu_us: 0.0 });
        for _ in 0..ground.args.rounds {
            for cost in &mut costs {
                let headers = visitor.headers(cost.way, requests).await?;
                let (took, used) = rounds(&client, here(cost.way), route, (requests, &headers)).await?;
                cost.requests += requests;
                cost.took_us += took.as_secs_f64() * 1e6;
                cost.cpu_us += used.as_secs_f64() * 1e6;
            }
        }
        for cost in &mut costs {
            cost.took_us /= f64::from(cost.requests);
            cost.cpu_us /= f64::from(cost.requests);
        }
        doors.push(Door { path: route.path, costs: costs.to_vec() });
    }
    visitor.control.close().await;
    Ok(doors)
}

/// So many requests, one after the other: how long they took, and what they cost the API.
async fn rounds(
    client: &Client,
    instance: &Instance,
    route: Route,
    (requests, headers): (u32, &[HeaderMap]),
) -> Result<(Duration, Duration), Failure> {
    let url = format!("http://{}/api/v1{}", instance.api(), route.path);
    let (used, begun) = (instance.spent(STAGE), Instant::now());
    for headers in headers.iter().cycle().take(usize::try_from(requests)?) {
        let answer = client.get(&url).headers(headers.clone()).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.as_u16() != 200 {
            return Err(format!("{}: {status}: {}", route.path, String::from_utf8_lossy(&body)).into());
        }
    }
    let took = begun.elapsed();
    Ok((took, instance.spent(STAGE).saturating_sub(used)))
}

/// Waits until both routes have something to tell.
async fn until_there(client: &Client, instance: &Instance, headers: HeaderMap) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let url = format!("http://{}/api/v1/blocks/{NETWORK}/{BLOCKS}", instance.api());
    loop {
        let answer = client.get(&url).headers(headers.clone()).send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(
                format!("block {BLOCKS} is not there in {PATIENCE:?}: {status}: {}", answer.text().await?).into()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
