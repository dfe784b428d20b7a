//! What differs between the configuration in force and the file: what a running process takes over, and what needs a restart.
//!
//! Guarantee: every key of the file is on one of the two lists (what is read is taken apart without `..`, so that a new key does not
//! compile before it is), each difference is told once, in words, with the key that it is about; and no secret is in the words. What
//! needs a restart stays as it was: [`between`] gives the configuration that is in force afterwards. Pure.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::{
    Alerts, ApiDoor, Auth, AuthMail, Cache, Causes, Config, Confirm, Contract, ContractSource, Control, ControlPlace,
    Endpoint, Kafka, Log, Network, Plan, Provider, Providers, Rate, Secret, Start, Store, Tls, Verify, alerts::SCRIPTS,
    control::shown, masked, source::short,
};

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// The key, networks and endpoints by name: `network.mantle-mainnet.endpoint.official.limit`.
    pub key: String,
    /// What is there now, and what was.
    pub words: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.words)
    }
}

/// All differences, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What a running process takes over.
    pub taken: Vec<Change>,
    /// What stays as it is until the process is started again.
    pub restart: Vec<Change>,
}

/// What differs, and the configuration in force once what can be is taken over.
pub fn between(now: &Config, file: &Config) -> (Changes, Config) {
    let mut c = Changes::default();
    let Config {
        data_dir,
        api_listen,
        api_hosts,
        allowed_origins,
        admin_listen,
        admin_hosts,
        api,
        auth,
        instance,
        log,
        store,
        control,
        providers,
        networks,
        contracts,
        causes,
        contract_sources,
        alerts,
        cache: Cache { redis, redis_ca },
        plans,
    } = file;
    let shown = |path: &std::path::Path| path.display().to_string();
    restart(&mut c, "data.dir", &shown(&now.data_dir), &shown(data_dir), Clone::clone);
    restart(&mut c, "api.listen", &now.api_listen, api_listen, ToString::to_string);
    restart(&mut c, "api.hosts", &now.api_hosts, api_hosts, |hosts| listed(hosts));
    restart(&mut c, "api.allowed_origins", &now.allowed_origins, allowed_origins, |origins| listed(origins));
    restart(&mut c, "admin.listen", &now.admin_listen, admin_listen, ToString::to_string);
    restart(&mut c, "admin.hosts", &now.admin_hosts, admin_hosts, |hosts| listed(hosts));
    compare_api(&mut c, &now.api, api);
    compare_auth(&mut c, &now.auth, auth);
    restart(&mut c, "runtime.instance", &now.instance, instance, Clone::clone);
    compare_log(&mut c, &now.log, log);
    let store = compare_store(&mut c, &now.store, store);
    compare_control(&mut c, &now.control, control);
    compare_providers(&mut c, &now.providers, providers);
    let networks = compare_networks(&mut c, &now.networks, networks);
    compare_contracts(&mut c, &now.contracts, contracts);
    compare_causes(&mut c, &now.causes, causes);
    compare_sources(&mut c, &now.contract_sources, contract_sources);
    compare_alerts(&mut c, (&now.alerts, &now.data_dir), (alerts, data_dir));
    restart(&mut c, "cache.redis", &now.cache.redis, redis, secret);
    restart(&mut c, "cache.redis_ca", &now.cache.redis_ca, redis_ca, optional(|file: &PathBuf| shown(file)));
    compare_plans(&mut c, &now.plans, plans);
    let (contracts, plans) = (contracts.clone(), plans.clone());
    let in_force = Config { store, providers: *providers, networks, contracts, plans, ..now.clone() };
    (c, in_force)
}

/// A key whose change needs a restart.
fn restart<T: PartialEq>(c: &mut Changes, key: &str, before: &T, now: &T, show: impl Fn(&T) -> String) {
    let change = differs(key, before, now, show);
    c.restart.extend(change);
}

/// A key whose change is taken over.
fn taken<T: PartialEq>(c: &mut Changes, key: &str, before: &T, now: &T, show: impl Fn(&T) -> String) {
    let change = differs(key, before, now, show);
    c.taken.extend(change);
}

fn differs<T: PartialEq>(key: &str, before: &T, now: &T, show: impl Fn(&T) -> String) -> Option<Change> {
    (before != now).then(|| {
        let (before, now) = (show(before), show(now));
        // Of a secret, or where only that differs, no more is said.
        let words = if before == now { "another one".to_owned() } else { format!("{now}; it was {before}") };
        Change { key: key.to_owned(), words }
    })
}

fn listed(list: &[String]) -> String {
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

fn optional<T>(show: impl Fn(&T) -> String) -> impl Fn(&Option<T>) -> String {
    move |value| value.as_ref().map_or_else(|| "nothing".to_owned(), &show)
}

fn secret(secret: &Option<Secret>) -> String {
    if secret.is_some() { "a secret".to_owned() } else { "nothing".to_owned() }
}

fn url(url: &Option<Url>) -> String {
    url.as_ref().map_or_else(|| "nothing".to_owned(), masked)
}

fn time(time: &Duration) -> String {
    short(*time)
}

fn compare_api(c: &mut Changes, now: &ApiDoor, file: &ApiDoor) {
    let ApiDoor { public_url, trusted_proxies, rate_limit, tls } = file;
    restart(c, "api.public_url", &now.public_url, public_url, optional(ToString::to_string));
    let proxies = |list: &Vec<ipnet::IpNet>| listed(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
    restart(c, "api.trusted_proxies", &now.trusted_proxies, trusted_proxies, proxies);
    restart(c, "api.rate_limit", &now.rate_limit, rate_limit, rate);
    // What the files hold is looked at while the process runs.
    restart(
        c,
        "api.tls",
        &now.tls,
        tls,
        optional(|tls: &Tls| format!("{} and {}", tls.cert.display(), tls.key.display())),
    );
}

fn compare_auth(c: &mut Changes, now: &Auth, file: &Auth) {
    let Auth { mode, allow_remote, sign_up, session, access_token, providers, mail, allow_targets } = file;
    restart(c, "auth.mode", &now.mode, mode, |mode| mode.as_str().to_owned());
    restart(c, "auth.allow_remote", &now.allow_remote, allow_remote, ToString::to_string);
    restart(c, "auth.sign_up", &now.sign_up, sign_up, |sign_up| sign_up.as_str().to_owned());
    restart(c, "auth.session", &now.session, session, |d| short(*d));
    restart(c, "auth.access_token", &now.access_token, access_token, |d| short(*d));
    // Secrets among them are compared, and not shown.
    let names = |list: &Vec<Provider>| listed(&list.iter().map(|p| p.id.clone()).collect::<Vec<_>>());
    restart(c, "auth.oidc", &now.providers, providers, names);
    restart(c, "auth.mail", &now.mail, mail, optional(|mail: &AuthMail| format!("{}:{}", mail.host, mail.port)));
    restart(c, "auth.allow_targets", &now.allow_targets, allow_targets, |list| listed(list));
}

fn compare_log(c: &mut Changes, now: &Log, file: &Log) {
    let Log { prefix, kafka, sync_to_disk, max_bytes, min_free_bytes } = file;
    restart(c, "log.prefix", &now.prefix, prefix, Clone::clone);
    match (&now.kafka, kafka) {
        (Some(now), Some(file)) => compare_kafka(c, now, file),
        (now, file) => restart(c, "log.kafka", now, file, optional(|k: &Kafka| k.brokers.clone())),
    }
    let sync = |disk: &bool| if *disk { "disk" } else { "os" }.to_owned();
    restart(c, "log.sync", &now.sync_to_disk, sync_to_disk, sync);
    restart(c, "log.max_bytes", &now.max_bytes, max_bytes, optional(ToString::to_string));
    restart(c, "log.min_free_bytes", &now.min_free_bytes, min_free_bytes, ToString::to_string);
}

fn compare_kafka(c: &mut Changes, now: &Kafka, file: &Kafka) {
    let Kafka { brokers, schema_registry, properties, replication, partitions, create_topics } = file;
    restart(c, "log.kafka", &now.brokers, brokers, Clone::clone);
    restart(c, "log.schema_registry", &now.schema_registry, schema_registry, url);
    restart(c, "log.replication", &now.replication, replication, optional(ToString::to_string));
    restart(c, "log.partitions", &now.partitions, partitions, optional(ToString::to_string));
    let topics = |create: &bool| if *create { "create" } else { "check" }.to_owned();
    restart(c, "log.topics", &now.create_topics, create_topics, topics);
    let mut names: Vec<&String> = properties.iter().chain(&now.properties).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let of =
        |all: &[(String, Secret)], name: &String| all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    for name in names {
        restart(c, &format!("log.properties.{name}"), &of(&now.properties, name), &of(properties, name), secret);
    }
}

fn compare_control(c: &mut Changes, now: &Control, file: &Control) {
    let Control { place, secret: ours, former_secret } = file;
    let url = |place: &ControlPlace| match place {
        ControlPlace::Sqlite(file) => (format!("sqlite:{}", file.display()), None, None),
        ControlPlace::Postgres { url, owner_url } => (shown(url), Some(url.clone()), owner_url.clone()),
    };
    let (before, after) = (url(&now.place), url(place));
    let (was, is) = ((&before.0, &before.1), (&after.0, &after.1));
    restart(c, "control.url", &was, &is, |url| url.0.clone());
    restart(c, "control.migrate_url", &before.2, &after.2, secret);
    restart(c, "control.secret", &now.secret, ours, secret);
    restart(c, "control.former_secret", &now.former_secret, former_secret, secret);
}

/// The store's settings in force.
fn compare_store(c: &mut Changes, now: &Store, file: &Store) -> Store {
    let Store {
        url: address,
        listen,
        hosts,
        database,
        user,
        password,
        api_user,
        api_password,
        analyst_password,
        analyst_without_landlock,
        analyst_contracts,
        keep,
        keep_windows,
        max_bytes,
    } = file;
    restart(c, "store.url", &now.url, address, url);
    restart(c, "store.listen", &now.listen, listen, ToString::to_string);
    restart(c, "store.hosts", &now.hosts, hosts, |hosts| listed(hosts));
    restart(c, "store.database", &now.database, database, Clone::clone);
    restart(c, "store.user", &now.user, user, Clone::clone);
    restart(c, "store.password", &now.password, password, secret);
    restart(c, "store.api_user", &now.api_user, api_user, Clone::clone);
    restart(c, "store.api_password", &now.api_password, api_password, secret);
    restart(c, "store.analyst_password", &now.analyst_password, analyst_password, secret);
    let landlock = (&now.analyst_without_landlock, analyst_without_landlock);
    restart(c, "store.analyst_without_landlock", landlock.0, landlock.1, ToString::to_string);
    restart(c, "store.analyst_contracts", &now.analyst_contracts, analyst_contracts, optional(ToString::to_string));
    taken(c, "store.keep", &now.keep, keep, kept);
    taken(c, "store.keep_windows", &now.keep_windows, keep_windows, kept);
    taken(c, "store.max_bytes", &now.max_bytes, max_bytes, optional(ToString::to_string));
    Store { keep: *keep, keep_windows: *keep_windows, max_bytes: *max_bytes, ..now.clone() }
}

/// How long rows are kept.
fn kept(keep: &Option<Duration>) -> String {
    keep.as_ref().map_or_else(|| "everything stays".to_owned(), time)
}

fn compare_providers(c: &mut Changes, now: &Providers, file: &Providers) {
    let Providers { probe_every, hedge, quarantine } = file;
    taken(c, "providers.probe_every", &now.probe_every, probe_every, time);
    taken(c, "providers.hedge", &now.hedge, hedge, ToString::to_string);
    taken(c, "providers.quarantine", &now.quarantine, quarantine, time);
}

/// The networks in force.
fn compare_networks(c: &mut Changes, now: &[Network], file: &[Network]) -> Vec<Network> {
    let mut in_force = Vec::with_capacity(file.len());
    for network in file {
        match now.iter().find(|former| former.slug == network.slug) {
            Some(former) => in_force.push(compare_network(c, former, network)),
            None => {
                let names: Vec<&str> = network.endpoints.iter().map(|e| e.name.as_str()).collect();
                let words = format!("added, with {}", names.join(", "));
                c.taken.push(Change { key: format!("network.{}", network.slug), words });
                in_force.push(network.clone());
            }
        }
    }
    for former in now.iter().filter(|former| file.iter().all(|network| network.slug != former.slug)) {
        let words = "taken out: it is not followed any more, and its rows stay".to_owned();
        c.taken.push(Change { key: format!("network.{}", former.slug), words });
    }
    in_force
}

fn compare_contracts(c: &mut Changes, now: &[Contract], file: &[Contract]) {
    let same = |a: &Contract, b: &Contract| a.network == b.network && a.address == b.address;
    let key = |contract: &Contract| format!("contract.{}.{}", contract.network, contract.address);
    for contract in file {
        let Contract { network: _, address: _, name, labels, abi } = contract;
        let Some(former) = now.iter().find(|former| same(former, contract)) else {
            c.taken.push(Change { key: key(contract), words: format!("added, {name}") });
            continue;
        };
        let key = key(contract);
        taken(c, &format!("{key}.name"), &former.name, name, Clone::clone);
        taken(c, &format!("{key}.labels"), &former.labels, labels, |labels| listed(labels));
        taken(c, &format!("{key}.abi"), &former.abi, abi, |abi| {
            abi.as_ref().map_or_else(|| "nothing".to_owned(), |abi| format!("names {} things", abi.names().len()))
        });
    }
    for former in now.iter().filter(|former| file.iter().all(|contract| !same(former, contract))) {
        c.taken.push(Change { key: key(former), words: "taken out".to_owned() });
    }
}

fn compare_plans(c: &mut Changes, now: &[Plan], file: &[Plan]) {
    let key = |plan: &Plan| format!("plans.{}", plan.name);
    for plan in file {
        match now.iter().find(|former| former.name == plan.name) {
            None => c.taken.push(Change { key: key(plan), words: format!("added, {}", plan.words()) }),
            Some(former) => taken(c, &key(plan), former, plan, Plan::words),
        }
    }
    for former in now.iter().filter(|former| file.iter().all(|plan| plan.name != former.name)) {
        c.taken.push(Change { key: key(former), words: "taken out: its tenants have the plan `default`".to_owned() });
    }
}

fn compare_causes(c: &mut Changes, now: &Causes, file: &Causes) {
    let Causes { calls, traces, table, give_up_after, limit, per_day } = file;
    restart(c, "causes.calls", &now.calls, calls, ToString::to_string);
    restart(c, "causes.traces", &now.traces, traces, ToString::to_string);
    restart(c, "causes.table", &now.table, table, |table| {
        table.as_ref().map_or_else(|| "nothing".to_owned(), |table| table.display().to_string())
    });
    restart(c, "causes.give_up_after", &now.give_up_after, give_up_after, |time| short(*time));
    restart(c, "causes.limit", &now.limit, limit, rate);
    restart(c, "causes.per_day", &now.per_day, per_day, ToString::to_string);
}

/// Contract sources have no names: all of them are told, and where only what is hidden differs, that.
fn compare_sources(c: &mut Changes, now: &Vec<ContractSource>, file: &Vec<ContractSource>) {
    let one = |source: &ContractSource| {
        let ContractSource { kind: _, url: _, key: _, networks, limit, per_day } = source;
        let of = networks.as_ref().map(|of| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        let of = of.map(|of| format!(" for {of}")).unwrap_or_default();
        format!("{}{of} ({}, {per_day} a day)", source.name(), rate(limit))
    };
    restart(c, "contract_source", now, file, |all| listed(&all.iter().map(one).collect::<Vec<_>>()));
}

fn compare_alerts(c: &mut Changes, (now, now_in): (&Alerts, &Path), (file, file_in): (&Alerts, &Path)) {
    let Alerts {
        allow_targets,
        ports,
        scripts,
        scripts_dir,
        max_unindexed,
        max_steps,
        max_backtest_rows,
        heartbeat_url,
        settle,
    } = file;
    restart(c, "alerts.allow_targets", &now.allow_targets, allow_targets, |targets| listed(targets));
    let all = |ports: &Vec<u16>| listed(&ports.iter().map(ToString::to_string).collect::<Vec<_>>());
    restart(c, "alerts.ports", &now.ports, ports, all);
    restart(c, "alerts.scripts", &now.scripts, scripts, ToString::to_string);
    // What nobody wrote goes with the data folder, which is told by itself.
    if !(now.scripts_dir == now_in.join(SCRIPTS) && *scripts_dir == file_in.join(SCRIPTS)) {
        restart(c, "alerts.scripts_dir", &now.scripts_dir, scripts_dir, |dir| dir.display().to_string());
    }
    restart(c, "alerts.max_unindexed", &now.max_unindexed, max_unindexed, ToString::to_string);
    restart(c, "alerts.max_steps", &now.max_steps, max_steps, ToString::to_string);
    restart(c, "alerts.max_backtest_rows", &now.max_backtest_rows, max_backtest_rows, ToString::to_string);
    restart(c, "alerts.heartbeat_url", &now.heartbeat_url, heartbeat_url, url);
    restart(c, "alerts.settle", &now.settle, settle, time);
}

fn compare_network(c: &mut Changes, now: &Network, file: &Network) -> Network {
    let Network { slug, chain, start, verify, confirm, confirm_within, keep, events, endpoints } = file;
    let key = |name: &str| format!("network.{slug}.{name}");
    if now.chain != *chain {
        restart(c, &key("family"), &now.family(), &file.family(), ToString::to_string);
        let ((was_key, was), (is_key, is)) = (now.chain.words(), chain.words());
        match was_key == is_key {
            true => restart(c, &key(is_key), &was, &is, Clone::clone),
            false => c.restart.push(Change { key: key(is_key), words: format!("{is}; there was `{was_key}` = {was}") }),
        }
        if (Network { chain: now.chain, ..file.clone() }) != *now {
            let words =
                "the rest of what changed in this network waits for that, since it is for another chain".to_owned();
            c.restart.push(Change { key: format!("network.{slug}"), words });
        }
        return now.clone();
    }
    let height = |start: &Start| match start {
        Start::Latest => "latest".to_owned(),
        Start::Height(height) => height.to_string(),
    };
    restart(c, &key("start"), &now.start, start, height);
    let word = |verify: &Verify| match verify {
        Verify::Profile => "profile".to_owned(),
        Verify::Signatures => "signatures".to_owned(),
        Verify::Structure => "structure".to_owned(),
    };
    taken(c, &key("verify"), &now.verify, verify, word);
    let operators = |confirm: &Confirm| match confirm {
        Confirm::Auto => "auto".to_owned(),
        Confirm::Never => "never".to_owned(),
        Confirm::Operators(n) => n.to_string(),
    };
    taken(c, &key("confirm"), &now.confirm, confirm, operators);
    taken(c, &key("confirm_within"), &now.confirm_within, confirm_within, time);
    taken(c, &key("keep"), &now.keep, keep, optional(time));
    taken(c, &key("events"), &now.events, events, ToString::to_string);
    for endpoint in endpoints {
        let key = key(&format!("endpoint.{}", endpoint.name));
        match now.endpoints.iter().find(|former| former.name == endpoint.name) {
            Some(former) => compare_endpoint(c, &key, former, endpoint),
            None => c.taken.push(Change { key, words: format!("added, {}", masked(&endpoint.url)) }),
        }
    }
    for former in now.endpoints.iter().filter(|former| endpoints.iter().all(|e| e.name != former.name)) {
        c.taken.push(Change { key: key(&format!("endpoint.{}", former.name)), words: "taken out".to_owned() });
    }
    let before: Vec<&str> = now.endpoints.iter().map(|e| e.name.as_str()).collect();
    let after: Vec<&str> = endpoints.iter().map(|e| e.name.as_str()).collect();
    if before != after && before.iter().all(|name| after.contains(name)) && before.len() == after.len() {
        c.taken.push(Change { key: key("endpoint"), words: format!("in the order {}", after.join(", ")) });
    }
    Network { start: now.start, ..file.clone() }
}

fn compare_endpoint(c: &mut Changes, at: &str, now: &Endpoint, file: &Endpoint) {
    let Endpoint {
        name: _,
        url: address,
        ws,
        cookie,
        zmq,
        fingerprint,
        headers,
        operator,
        roles,
        priority,
        limit,
        per_day,
    } = file;
    let key = |name: &str| format!("{at}.{name}");
    taken(c, &key("url"), &now.url, address, masked);
    taken(c, &key("ws"), &now.ws, ws, url);
    taken(c, &key("cookie"), &now.cookie, cookie, optional(|file: &PathBuf| file.display().to_string()));
    taken(c, &key("zmq"), &now.zmq, zmq, url);
    let print = |print: &Option<[u8; 32]>| print.map_or_else(|| "the first seen".to_owned(), const_hex::encode);
    taken(c, &key("fingerprint"), &now.fingerprint, fingerprint, print);
    taken(c, &key("headers"), &now.headers, headers, |headers| {
        listed(&headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
    });
    taken(c, &key("operator"), &now.operator, operator, Clone::clone);
    taken(c, &key("roles"), &now.roles, roles, |roles| {
        listed(&roles.iter().map(ToString::to_string).collect::<Vec<_>>())
    });
    taken(c, &key("priority"), &now.priority, priority, ToString::to_string);
    taken(c, &key("limit"), &now.limit, limit, |limit| limit.map_or_else(|| "found out".to_owned(), |l| rate(&l)));
    taken(c, &key("per_day"), &now.per_day, per_day, optional(ToString::to_string));
}

/// A rate as the file has it.
fn rate(rate: &Rate) -> String {
    let per = match rate.per.as_secs() {
        60 => "min".to_owned(),
        3_600 => "h".to_owned(),
        1 => "s".to_owned(),
        _ => short(rate.per),
    };
    format!("{}/{per}", rate.requests)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BEFORE: &str = r#"
[providers]
probe_every = "30s"
[store]
password = "hunter2hunter2"
[[network]]
slug = "a"
family = "evm"
chain_id = 1
start = 7
[[network.endpoint]]
name = "one"
url = "https://user:hunter2@rpc.one.example/v2/k3y"
limit = "25/s"
[network.endpoint.headers]
authorization = "Bearer s3cret"
[[network.endpoint]]
name = "two"
url = "https://rpc.two.example"
[[network]]
slug = "b"
family = "evm"
chain_id = 2
[[network.endpoint]]
name = "one"
url = "https://rpc.one.example"
"#;

    fn parse(text: &str) -> Config {
        super::super::parse(text, Path::new("/etc/hw"), &|_| None).expect("good")
    }

    fn words(changes: &[Change]) -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    }

    /// What differs once these replacements were made; nothing else does, and nothing secret is told.
    fn after(replace: &[(&str, &str)]) -> (Vec<String>, Vec<String>, Config) {
        let mut text = BEFORE.to_owned();
        for (from, to) in replace {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let (before, file) = (parse(BEFORE), parse(&text));
        let (changes, in_force) = between(&before, &file);
        let (taken, restart) = (words(&changes.taken), words(&changes.restart));
        for secret in ["hunter2", "s3cret", "k3y", "other-secret"] {
            assert!(!format!("{taken:?}{restart:?}").contains(secret), "{taken:?}{restart:?}");
        }
        // What was taken over is no change any more; what needs a restart is told again and again.
        let (again, the_same) = between(&in_force, &file);
        assert!(again.taken.is_empty() && words(&again.restart) == restart && the_same == in_force, "{again:?}");
        (taken, restart, in_force)
    }

    #[test]
    fn an_unchanged_file_changes_nothing() {
        assert_eq!(after(&[]), (vec![], vec![], parse(BEFORE)));
    }

    #[test]
    fn endpoints_come_go_and_change() {
        let (taken, restart, in_force) = after(&[
            (
                "limit = \"25/s\"",
                "limit = \"600/min\"\nper_day = 1000\npriority = 2\nroles = [\"stream\"]\noperator = \"me\"",
            ),
            ("s3cret", "other-secret"),
            (
                "name = \"two\"\nurl = \"https://rpc.two.example\"",
                "name = \"three\"\nurl = \"https://rpc.two.example/other-secret\"\nws = \"wss://x.example\"",
            ),
        ]);
        assert_eq!(
            taken,
            [
                "`network.a.endpoint.one.headers`: another one",
                "`network.a.endpoint.one.operator`: me; it was one.example",
                "`network.a.endpoint.one.roles`: stream; it was stream, trace, serve",
                "`network.a.endpoint.one.priority`: 2; it was 1",
                "`network.a.endpoint.one.limit`: 600/min; it was 25/s",
                "`network.a.endpoint.one.per_day`: 1000; it was nothing",
                "`network.a.endpoint.three`: added, https://rpc.two.example/***",
                "`network.a.endpoint.two`: taken out",
            ]
        );
        assert!(restart.is_empty(), "{restart:?}");
        assert_eq!(in_force.networks[0].endpoints[0].headers[0].1.expose(), "Bearer other-secret");
        let (taken, ..) = after(&[("user:hunter2@", "user:other-secret@")]);
        assert_eq!(taken, ["`network.a.endpoint.one.url`: another one"], "the difference is in what is masked");
    }

    #[test]
    fn networks_come_and_go() {
        let (taken, restart, in_force) =
            after(&[("slug = \"b\"", "slug = \"c\""), ("probe_every = \"30s\"", "probe_every = \"1m\"\nhedge = true")]);
        assert_eq!(
            taken,
            [
                "`providers.probe_every`: 1m; it was 30s",
                "`providers.hedge`: true; it was false",
                "`network.c`: added, with one",
                "`network.b`: taken out: it is not followed any more, and its rows stay",
            ]
        );
        assert!(restart.is_empty(), "{restart:?}");
        assert_eq!(in_force.networks.iter().map(|n| n.slug.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn another_chain_needs_a_restart_and_so_does_all_that_is_for_it() {
        let (taken, restart, in_force) = after(&[
            ("chain_id = 1\nstart = 7", "chain_id = 9\nstart = 8"),
            ("limit = \"25/s\"", "limit = \"1/s\""),
            (
                "chain_id = 2",
                "chain_id = 2\nstart = 5\nconfirm = \"never\"\nconfirm_within = \"3s\"\nverify = \"structure\"",
            ),
        ]);
        assert_eq!(
            restart,
            [
                "`network.a.chain_id`: 9; it was 1",
                "`network.a`: the rest of what changed in this network waits for that, since it is for another chain",
                "`network.b.start`: 5; it was latest",
            ]
        );
        assert_eq!(
            taken,
            [
                "`network.b.verify`: structure; it was profile",
                "`network.b.confirm`: never; it was auto",
                "`network.b.confirm_within`: 3s; it was 2s",
            ]
        );
        assert_eq!(in_force.networks[0], parse(BEFORE).networks[0]);
        assert_eq!((in_force.networks[1].start, in_force.networks[1].verify), (Start::Latest, Verify::Structure));
    }

    #[test]
    fn contracts_come_go_and_change() {
        let contract = |n: u8, more: &str| format!("[[contract]]\nnetwork = \"a\"\naddress = \"0x{n:040x}\"\n{more}\n");
        let with = |contracts: &[String]| parse(&format!("{BEFORE}{}", contracts.concat()));
        let before = with(&[contract(1, "name = \"one\""), contract(2, "")]);
        let file = with(&[contract(1, "name = \"uno\"\nlabels = [\"dex\"]"), contract(3, "name = \"three\"")]);
        let (changes, in_force) = between(&before, &file);
        let key = |n: u8| format!("`contract.a.0x{n:040x}");
        assert_eq!(
            words(&changes.taken),
            [
                format!("{}.name`: uno; it was one", key(1)),
                format!("{}.labels`: dex; it was nothing", key(1)),
                format!("{}`: added, three", key(3)),
                format!("{}`: taken out", key(2)),
            ]
        );
        assert!(changes.restart.is_empty() && in_force == file);
    }

    #[test]
    fn how_long_rows_are_kept_is_taken_over() {
        let (taken, restart, in_force) = after(&[
            ("[store]", "[store]\nkeep = \"90d\"\nkeep_windows = \"365d\"\nmax_bytes = \"1GiB\"\ndatabase = \"d\""),
            ("chain_id = 2", "chain_id = 2\nkeep = \"30d\""),
        ]);
        assert_eq!(
            taken,
            [
                "`store.keep`: 90d; it was everything stays",
                "`store.keep_windows`: 365d; it was everything stays",
                "`store.max_bytes`: 1073741824; it was nothing",
                "`network.b.keep`: 30d; it was nothing",
            ]
        );
        assert_eq!(restart, ["`store.database`: d; it was headwater"]);
        assert_eq!((in_force.store.max_bytes, in_force.store.database.as_str()), (Some(1 << 30), "headwater"));
    }

    #[test]
    fn ports_folders_log_and_store_need_a_restart() {
        let (taken, restart, in_force) = after(&[
            (
                "[providers]",
                "[data]\ndir = \"x\"\n[api]\nlisten = \"127.0.0.1:1\"\nhosts = [\"h\"]\nallowed_origins = [\"https://o.example\"]\npublic_url = \"https://p.example\"\ntrusted_proxies = [\"10.0.0.1\"]\n\
                 rate_limit = \"1/s\"\n[api.tls]\ncert = \"c\"\nkey = \"k\"\n\
                 [admin]\nlisten = \"127.0.0.1:2\"\nhosts = [\"i\"]\n[auth]\nmode = \"accounts\"\nallow_remote = true\nsign_up = \"open\"\nsession = \"1d\"\naccess_token = \"5m\"\n\
                 allow_targets = [\"10.0.0.1\"]\n[auth.mail]\nhost = \"m\"\nfrom = \"a@b\"\n[[auth.oidc]]\nid = \"i\"\nissuer = \"https://i\"\nclient_id = \"x\"\n[runtime]\ninstance = \"me\"\n\
                 [log]\nkafka = \"k:9092\"\nprefix = \"p.\"\n[providers]",
            ),
            (
                "password = \"hunter2hunter2\"",
                "password = \"other-secret-other-secret\"\nurl = \"http://s:1\"\nlisten = \"127.0.0.1:3\"\nhosts = [\"j\"]\ndatabase = \"d\"\n\
                 user = \"u\"\napi_user = \"v\"\napi_password = \"other-secret-other\"\nanalyst_password = \"other-secret-other\"\n\
                 analyst_without_landlock = true\nanalyst_contracts = true\n[control]\nurl = \"postgres://a:other-secret@c.example/d\"\n\
                 migrate_url = \"postgres://b:other-secret@c.example/d\"\nsecret = \"other-secret-other-secret-other-secret\"",
            ),
        ]);
        assert!(taken.is_empty(), "{taken:?}");
        let keys: Vec<&str> = restart.iter().filter_map(|line| line.split('`').nth(1)).collect();
        assert_eq!(
            keys,
            [
                "data.dir",
                "api.listen",
                "api.hosts",
                "api.allowed_origins",
                "admin.listen",
                "admin.hosts",
                "api.public_url",
                "api.trusted_proxies",
                "api.rate_limit",
                "api.tls",
                "auth.mode",
                "auth.allow_remote",
                "auth.sign_up",
                "auth.session",
                "auth.access_token",
                "auth.oidc",
                "auth.mail",
                "auth.allow_targets",
                "runtime.instance",
                "log.prefix",
                "log.kafka",
                "store.url",
                "store.listen",
                "store.hosts",
                "store.database",
                "store.user",
                "store.password",
                "store.api_user",
                "store.api_password",
                "store.analyst_password",
                "store.analyst_without_landlock",
                "store.analyst_contracts",
                "control.url",
                "control.migrate_url",
                "control.secret",
            ]
        );
        assert!(restart.contains(&"`store.password`: another one".to_owned()), "{restart:?}");
        assert_eq!(in_force, parse(BEFORE));
    }

    #[test]
    fn properties_of_the_client_are_told_by_name_only() {
        let kafka = |more: &str| parse(&format!("[log]\nkafka = \"k:9092\"\n{more}"));
        let before = kafka("[log.properties]\n\"client.id\" = \"a\"");
        let file = kafka(
            "topics = \"check\"\npartitions = 3\n[log.properties]\n\"client.id\" = \"s3cret\"\n\"linger.ms\" = \"5\"",
        );
        let (changes, _) = between(&before, &file);
        assert_eq!(
            words(&changes.restart),
            [
                "`log.partitions`: 3; it was nothing",
                "`log.topics`: check; it was create",
                "`log.properties.client.id`: another one",
                "`log.properties.linger.ms`: a secret; it was nothing",
            ]
        );
    }
}
