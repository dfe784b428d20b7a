//! A family of nodes that exists in tests only: a *lamp* has a height that grows with time and says of each height which colour it
//! has. It can be slow, silent, unwilling, behind, and untrue.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use schemas::TimeMs;
use tokio::time::Instant;

use super::super::{Account, Ask, Clock, Done, Fleet, FleetConfig, Limits, Member, MemberConfig, Probe};
use crate::error::{NodeError, NodeErrorKind};

/// What is wrong with a lamp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// It never answers.
    Hangs,
    /// 403 at once.
    Refuses,
    /// No connection.
    Down,
    /// It says that there is nothing.
    Nothing,
    /// 429, with a wait of so many seconds.
    Throttles(Option<u64>),
    /// 429 with a wait of a second from the so-manieth request of each second on.
    Allows(u32),
    /// Its answer contradicts itself.
    Contradicts,
    /// It says another colour than the others.
    Lies,
    /// It does not have this method.
    Lacks,
}

pub struct Lamp {
    pub name: String,
    pub fault: Mutex<Fault>,
    pub latency_ms: AtomicU64,
    pub behind: AtomicU64,
    pub asked: AtomicU64,
    pub refused: AtomicU64,
    second: Mutex<(u64, u32)>,
    born: Instant,
}

pub type Lamps = Vec<Arc<Lamp>>;

/// Time between two heights.
pub const BLOCK: Duration = Duration::from_secs(2);
/// The height at the beginning.
const FIRST: u64 = 10_000;

impl Lamp {
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    fn height(&self) -> u64 {
        FIRST + (self.born.elapsed().as_millis() / BLOCK.as_millis()) as u64 - self.behind.load(Ordering::Relaxed)
    }

    fn error(&self, kind: NodeErrorKind) -> NodeError {
        NodeError { endpoint: self.name.as_str().into(), call: "lamp".into(), kind }
    }

    async fn say(&self, height: u64) -> Result<String, NodeError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut fault = *self.fault.lock().unwrap();
        if let Fault::Allows(most) = fault {
            let mut second = self.second.lock().unwrap();
            let now = self.born.elapsed().as_secs();
            *second = if second.0 == now { (now, second.1 + 1) } else { (now, 1) };
            fault = if second.1 > most { Fault::Throttles(Some(1)) } else { Fault::None };
            self.refused.fetch_add(u64::from(fault != Fault::None), Ordering::Relaxed);
        }
        let latency = Duration::from_millis(self.latency_ms.load(Ordering::Relaxed));
        match fault {
            Fault::Hangs => std::future::pending::<()>().await,
            Fault::Refuses | Fault::Down | Fault::Throttles(_) | Fault::Lacks => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            _ => tokio::time::sleep(latency).await,
        }
        match fault {
            Fault::Allows(_) => unreachable!("one of the others by now"),
            Fault::None | Fault::Hangs | Fault::Contradicts if height > self.height() => {
                Err(self.error(NodeErrorKind::Empty))
            }
            Fault::None | Fault::Hangs | Fault::Contradicts => Ok(format!("colour {}", height % 7)),
            Fault::Lies => Ok(format!("colour {} of another lamp", height % 7)),
            Fault::Refuses => Err(self.error(NodeErrorKind::Refused(403, "no".into()))),
            Fault::Down => Err(self.error(NodeErrorKind::Unreachable("connection refused".into()))),
            Fault::Nothing => Err(self.error(NodeErrorKind::Empty)),
            Fault::Throttles(s) => {
                Err(self.error(NodeErrorKind::Throttled(s.map(Duration::from_secs), "slow down".into())))
            }
            Fault::Lacks => Err(self.error(NodeErrorKind::Missing(crate::Missing::Method, "no such method".into()))),
        }
    }
}

/// One request through the meter.
async fn request(member: &Member<Arc<Lamp>>, method: &'static str, height: Option<u64>) -> Result<String, NodeError> {
    let admitted = member.meter.admit(1).await?;
    let began = Instant::now();
    let outcome = member.client.say(height.unwrap_or(0)).await;
    let head = height.is_none().then(|| member.client.height()).filter(|_| outcome.is_ok());
    let done = Done { method, took: began.elapsed(), bytes: 100, height: head, error: outcome.as_ref().err() };
    member.meter.done(admitted, done);
    outcome
}

/// A colour that holds.
pub async fn colour(member: Member<Arc<Lamp>>, height: u64) -> Result<String, NodeError> {
    let colour = request(&member, "lamp_colour", Some(height)).await?;
    if *member.client.fault.lock().unwrap() == Fault::Contradicts {
        return Err(member.client.error(NodeErrorKind::Lying("the colour has no wavelength".into())));
    }
    Ok(colour)
}

pub struct LampProbe;

#[async_trait]
impl Probe<Arc<Lamp>> for LampProbe {
    async fn head(&self, member: &Member<Arc<Lamp>>) -> Result<u64, NodeError> {
        request(member, "lamp_head", None).await.map(|_| member.client.height())
    }
    async fn block(&self, member: &Member<Arc<Lamp>>, height: u64) -> Result<String, NodeError> {
        request(member, "lamp_colour", Some(height)).await
    }
}

/// Now, in tests.
pub const NOW: TimeMs = TimeMs(1_790_000_000_000);

pub struct Shop {
    pub fleet: Fleet<Arc<Lamp>>,
    pub lamps: Lamps,
    members: Vec<(MemberConfig, Arc<Lamp>)>,
    config: FleetConfig,
    clock: Clock,
}

/// Lamps of these names, each of an operator of its own, 50 ms away.
pub fn shop(observer: &str, names: &[&str], change: impl Fn(&mut MemberConfig), config: FleetConfig) -> Shop {
    let lamp = |name: &&str| {
        Arc::new(Lamp {
            name: (*name).to_owned(),
            fault: Mutex::new(Fault::None),
            latency_ms: AtomicU64::new(50),
            behind: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            second: Mutex::new((0, 0)),
            born: Instant::now(),
        })
    };
    let lamps: Lamps = names.iter().map(lamp).collect();
    let member = |lamp: &Arc<Lamp>| {
        let mut config = MemberConfig::new(&lamp.name, "http://lamp/***");
        config.account = Account::of([observer, &lamp.name]);
        config.place = config.account;
        change(&mut config);
        (config, lamp.clone())
    };
    let members: Vec<_> = lamps.iter().map(member).collect();
    let clock = Clock::fixed(NOW);
    let config = FleetConfig { limits: Limits::new(clock.clone()), block_time: Some(BLOCK), ..config };
    let fleet = Fleet::new("lamps".parse().unwrap(), observer, members.clone(), config.clone(), clock.clone());
    Shop { fleet, lamps, members, config, clock }
}

impl Shop {
    /// Another stage of the same process, with a fleet of its own over the same lamps.
    pub fn another(&self, observer: &str) -> Fleet<Arc<Lamp>> {
        let (members, config) = (self.members.clone(), self.config.clone());
        Fleet::new("lamps".parse().unwrap(), observer, members, config, self.clock.clone())
    }

    /// What its fleet was told.
    pub fn settings(&self) -> FleetConfig {
        self.config.clone()
    }

    /// Asks for the newest colour, as a watcher does; how long it took, and who answered.
    pub async fn newest(&self) -> (Duration, Result<Arc<str>, NodeError>) {
        let began = Instant::now();
        let height = self.lamps.iter().map(|l| l.height()).max().unwrap_or_default();
        let ask = Ask { height: Some(height), expected: true, ..Ask::new("colour") };
        let answer = self.fleet.ask(ask, |m| colour(m, height)).await;
        (began.elapsed(), answer.map(|a| a.endpoint))
    }

    /// Runs the fleet's task.
    pub fn probed(&self) -> tokio::task::JoinHandle<()> {
        let fleet = self.fleet.clone();
        tokio::spawn(async move { fleet.run(Arc::new(LampProbe)).await })
    }

    /// The state of an endpoint by its name.
    pub fn state(&self, name: &str) -> schemas::records::EndpointState {
        self.fleet.snapshot().into_iter().find(|(n, _)| &**n == name).map(|(_, s)| s).unwrap()
    }
}
