//! Against a control store of each test's own.

use std::sync::Arc;

use control::{Authenticated, Caller, Control, Mode, Trust};
use runtime::config::{Control as Settings, ControlPlace, Plan};
use schemas::Quota;

use super::*;

struct Store {
    settings: Settings,
    control: Arc<Control>,
    _dir: tempfile::TempDir,
}

impl Store {
    async fn new(maxima: &[(Quota, u64)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings =
            Settings { place: ControlPlace::Sqlite(dir.path().join("control.db")), secret: None, former_secret: None };
        let control = open(&settings).await;
        let plan = Plan { name: "default".to_owned(), maxima: maxima.iter().copied().collect() };
        control.put_plans(&[plan]).await.expect("put");
        Self { settings, control, _dir: dir }
    }

    fn who(&self) -> Authenticated {
        self.control.anyone().expect("everybody is let in")
    }

    async fn written(&self) -> i64 {
        let standing = self.control.standing(self.who().tenant()).await.expect("standing");
        standing.today.get(&Quota::RequestsPerDay).copied().unwrap_or(0)
    }
}

async fn open(settings: &Settings) -> Arc<Control> {
    Arc::new(Control::open(settings, Mode::None, Trust::default()).await.expect("it opens"))
}

async fn ask(tenants: &Tenants, control: Option<&Arc<Control>>, who: &Authenticated) -> Result<(), ApiError> {
    tenants.admit(control.cloned(), who, &mut None).await.map(drop)
}

#[tokio::test]
async fn what_cannot_be_written_is_written_later_and_once() {
    let store = Store::new(&[]).await;
    let (who, tenants) = (store.who(), Tenants::new("one", &Cache::default()));
    for _ in 0..3 {
        ask(&tenants, Some(&store.control), &who).await.expect("let in");
    }
    // The store is gone for this process.
    let gone = open(&store.settings).await;
    gone.close().await;
    tenants.flush(&gone).await;
    for _ in 0..2 {
        ask(&tenants, Some(&store.control), &who).await.expect("let in");
    }
    tenants.flush(&gone).await;
    assert_eq!(store.written().await, 0);
    assert_eq!(tenants.of(&who).present(|_| 0).today[&Quota::RequestsPerDay], 5, "nothing is forgotten meanwhile");
    for _ in 0..3 {
        tenants.flush(&store.control).await;
    }
    assert_eq!(store.written().await, 5);
    // Another process counts on.
    let other = Tenants::new("one", &Cache::default());
    ask(&other, Some(&store.control), &who).await.expect("let in");
    other.flush(&store.control).await;
    assert_eq!(store.written().await, 6);
}

#[tokio::test]
async fn a_day_is_that_of_all_processes() {
    let store = Store::new(&[(Quota::RequestsPerDay, 4)]).await;
    let who = store.who();
    let (one, two) = (Tenants::new("one", &Cache::default()), Tenants::new("two", &Cache::default()));
    for _ in 0..3 {
        ask(&one, Some(&store.control), &who).await.expect("let in");
    }
    one.flush(&store.control).await;
    // It was not met before, and so is looked up.
    ask(&two, Some(&store.control), &who).await.expect("the fourth");
    let refused = ask(&two, Some(&store.control), &who).await.expect_err("the fifth");
    let ApiError::TooFast { standing, wait } = refused else { panic!("{refused}") };
    assert!(standing.limit() == 4 && wait <= Duration::from_secs(86_400));
    // What the other counted is known with the next flush.
    two.flush(&store.control).await;
    ask(&one, Some(&store.control), &who).await.expect("it does not know yet");
    one.flush(&store.control).await;
    assert!(ask(&one, Some(&store.control), &who).await.is_err());
}

#[tokio::test]
async fn without_a_store_nobody_is_kept_out_who_is_not_known() {
    let store = Store::new(&[(Quota::RequestsPerMinute, 1), (Quota::Sockets, 1)]).await;
    let (who, tenants) = (store.who(), Tenants::new("one", &Cache::default()));
    for _ in 0..5 {
        ask(&tenants, None, &who).await.expect("let in");
    }
    ask(&tenants, Some(&store.control), &who).await.expect("the first of the minute");
    assert!(ask(&tenants, Some(&store.control), &who).await.is_err());
    // What is known goes on to hold.
    assert!(ask(&tenants, None, &who).await.is_err());
    let account = tenants.of(&who);
    let first = account.socket().expect("a place");
    assert!(matches!(account.socket(), Err(ApiError::Quota { name: Quota::Sockets, limit: 1, used: 1 })));
    drop(first);
    assert!(account.socket().is_ok(), "it is free again");
}

#[tokio::test]
async fn a_busy_tenant_leaves_the_last_places_to_others() {
    let store = Store::new(&[]).await;
    let account = Tenants::new("one", &Cache::default()).of(&store.who());
    let take = |free: usize, several| account.place(Places::Rows, (free, 8), several);
    let mut held: Vec<Place> = (0..4).map(|n| take(8 - n, true).expect("its share")).collect();
    held.push(take(4, true).expect("there is room"));
    held.push(take(3, true).expect("there is room"));
    assert!(matches!(take(2, true), Err(ApiError::Overloaded { .. })), "these are for others");
    held.push(take(2, false).expect("nobody else asks"));
    assert!(account.place(Places::Requests, (1, 8), true).is_ok(), "each kind of place for itself");
    // Of two places one is for others.
    let first = account.place(Places::Previews, (2, 2), true).expect("a place");
    assert!(account.place(Places::Previews, (1, 2), true).is_err());
    drop(first);
    held.clear();
    assert!(take(1, true).is_ok(), "who has none finds one");
}

#[tokio::test]
async fn another_plan_holds_and_less_than_was_used_is_used_up() {
    let store = Store::new(&[]).await;
    let (who, tenants) = (store.who(), Tenants::new("one", &Cache::default()));
    for _ in 0..3 {
        ask(&tenants, Some(&store.control), &who).await.expect("let in");
    }
    tenants.flush(&store.control).await;
    let few = Plan { name: "few".to_owned(), maxima: [(Quota::RequestsPerDay, 2)].into() };
    store.control.put_plans(&[few]).await.expect("put");
    store.control.set_plan(Caller::here(&who), "few").await.expect("set");
    let standing = store.control.standing(who.tenant()).await.expect("standing");
    let account = tenants.of(&who);
    account.know(Some(standing), Now::new());
    assert!(ask(&tenants, Some(&store.control), &who).await.is_err());
    assert!(account.may_read(Now::new()).is_ok(), "of that there is no bound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_over_all_processes_and_those_of_a_dead_one_go_with_its_lease() {
    let Some(cache) = server::tests::server() else { return };
    let store = Store::new(&[(Quota::Sockets, 3)]).await;
    let who = store.who();
    let process = async |lease: Duration| {
        let mut tenants = Tenants::by("one", Some(Server::patient(&cache)));
        tenants.telling.as_mut().expect("it has one").lease = lease;
        ask(&tenants, Some(&store.control), &who).await.expect("let in");
        Arc::new(tenants)
    };
    let long = Duration::from_secs(30);
    let (one, two, dead) = (process(long).await, process(long).await, process(Duration::from_millis(300)).await);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (tenants, who) = (Arc::clone(if n % 2 == 0 { &one } else { &two }), who.clone());
        tasks.spawn(async move { tenants.socket(&tenants.of(&who)).await });
    }
    let mut held = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.expect("no panic") {
            Ok(socket) => held.push(socket),
            Err(error) => assert!(matches!(error, ApiError::Quota { name: Quota::Sockets, limit: 3, .. }), "{error}"),
        }
    }
    assert_eq!(held.len(), 3, "of all processes together");
    let refused = dead.socket(&dead.of(&who)).await.err().expect("no place");
    assert!(matches!(refused, ApiError::Quota { name: Quota::Sockets, limit: 3, used: 3 }), "{refused}");
    // One that goes makes room at every other process, and who dies with his connection keeps it for the lease only.
    held.pop();
    let mut last = None;
    for _ in 0..100 {
        last = dead.socket(&dead.of(&who)).await.ok();
        if last.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::mem::forget(last.expect("there is room"));
    assert!(one.socket(&one.of(&who)).await.is_err(), "all are taken");
    let begun = std::time::Instant::now();
    while one.socket(&one.of(&who)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "its lease is over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Away, each counts for itself.
    let gone = Cache { redis: Some(runtime::config::Secret::new("redis://127.0.0.1:1".to_owned())), redis_ca: None };
    let alone = Tenants::new("alone", &gone);
    ask(&alone, Some(&store.control), &who).await.expect("let in");
    let mut own = Vec::new();
    for _ in 0..3 {
        own.push(alone.socket(&alone.of(&who)).await.expect("a place"));
    }
    assert!(alone.socket(&alone.of(&who)).await.is_err(), "by its own count");
}
