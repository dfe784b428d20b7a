use super::*;

const GOOD: &str = r#"
[data]
dir = "data"

[[network]]
slug = "mantle-mainnet"
family = "evm"
chain_id = 5000
start = 65000000
[[network.endpoint]]
name = "official"
url = "https://user:${TOKEN}@rpc.example.org/v2/key"
ws = "wss://ws.example.org"
[network.endpoint.headers]
authorization = "Bearer ${TOKEN}"
"#;

fn env(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "s3cret".to_owned())
}

fn mistakes(text: &str) -> Vec<(usize, String, String)> {
    let list = parse(text, Path::new("/etc/hw"), &env).expect_err("must be refused");
    list.into_iter().map(|m| (m.line, m.key, format!("{} | {}", m.problem, m.cure))).collect()
}

#[test]
fn a_good_file_is_read_with_defaults_and_secrets_stay_masked() {
    let config = parse(GOOD, Path::new("/etc/hw"), &env).expect("good");
    assert_eq!(config.data_dir, Path::new("/etc/hw/data"));
    assert_eq!(config.api_listen.to_string(), API_LISTEN);
    let network = &config.networks[0];
    assert_eq!((network.chain, network.start), (Chain::Evm { chain_id: 5000 }, Start::Height(65_000_000)));
    assert_eq!(network.verify, Verify::Profile);
    assert_eq!(network.endpoints[0].headers[0].1.expose(), "Bearer s3cret");
    assert_eq!(masked(&network.endpoints[0].url), "https://***@rpc.example.org/***");
    assert!(!format!("{:?}", network.endpoints[0].headers).contains("s3cret"));
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_cure() {
    let text = r#"
[api]
lissten = "127.0.0.1:8080"
[admin]
listen = "nowhere"
[[network]]
slug = "Mantle"
family = "evm"
chain_id = "5000"
[[network.endpoint]]
name = "a"
url = "ftp://x"
[[network.endpoint]]
name = "a"
url = "https://${NOT_SET}"
[[network]]
family = "stellar"
[[contract]]
network = "nope"
address = "0x12"
[store]
url = "http://10.0.0.4:8123"
"#;
    let found = mistakes(text);
    let expected: &[(usize, &str, &str)] = &[
        (3, "api.lissten", "did you mean `listen`?"),
        (5, "admin.listen", "such as \"127.0.0.1:9090\""),
        (7, "network[0].slug", "a-z"),
        (9, "network[0].chain_id", "without quotes"),
        (12, "network[0].endpoint[0].url", "http:// or https://"),
        (14, "network[0].endpoint[1].name", "stands twice"),
        (15, "network[0].endpoint[1].url", "`NOT_SET` is not set"),
        (16, "network[1].slug", "is missing"),
        (16, "network[1].chain_id", "is missing"),
        (16, "network[1].endpoint", "is missing"),
        (17, "network[1].family", "not followed by this version"),
        (19, "contract[0].network", "not a network of this file"),
        (20, "contract[0].address", "40 hex digits"),
        (21, "store.password", "missing beside `url`"),
    ];
    for (line, key, words) in expected {
        assert!(
            found.iter().any(|(l, k, t)| l == line && k == key && t.contains(words)),
            "no mistake at {line} for {key} with {words:?} in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn broken_toml_names_the_line() {
    let found = mistakes("[data]\ndir = \n");
    assert_eq!(found.len(), 1);
    assert!(found[0].2.contains("not TOML"), "{found:?}");
    assert!((2..=3).contains(&found[0].0), "{found:?}");
}

#[test]
fn a_kafka_cluster_is_read_with_its_properties() {
    let text = "[log]\nkafka = \"a:9092, b:9092\"\nschema_registry = \"http://r:8081/apis/ccompat/v7\"\nreplication = 3\n\
                [log.properties]\n\"security.protocol\" = \"SASL_SSL\"\n\"sasl.password\" = \"${SECRET}\"\n";
    let config =
        parse(text, Path::new(""), &|name| (name == "SECRET").then(|| "hidden".to_owned())).expect("no mistake");
    let kafka = config.log.kafka.clone().expect("a cluster");
    assert_eq!((kafka.brokers.as_str(), kafka.replication, kafka.partitions), ("a:9092, b:9092", Some(3), None));
    assert_eq!(kafka.schema_registry.expect("a registry").path(), "/apis/ccompat/v7");
    assert_eq!(kafka.properties.iter().find(|(k, _)| k == "sasl.password").expect("there").1.expose(), "hidden");
    assert!(!format!("{:?}", config.log).contains("hidden"), "secrets are masked");
}

#[test]
fn mistakes_about_a_cluster_are_told() {
    let found = mistakes("[log]\nkafka = \"a\"\nreplication = 0\n[log.properties]\n\"group.id\" = \"x\"\n");
    let told: Vec<_> = found.iter().map(|m| m.1.as_str()).collect();
    assert_eq!(told, ["log.kafka", "log.replication", "log.properties.group.id"], "{found:?}");
    let found = mistakes(
        "[log]\nkafka = \"a:1\"\n[log.properties]\n\"sasl.pasword\" = \"hidden\"\n\"security.protocol\" = \"TLS\"\n\"sasl.username\" = \"x\"\n",
    );
    let told: Vec<_> = found.iter().map(|m| m.1.as_str()).collect();
    let (typo, protocol, unused) =
        ("log.properties.sasl.pasword", "log.properties.security.protocol", "has no effect without SASL");
    assert!(told.contains(&typo) && told.contains(&protocol), "{found:?}");
    assert!(found.iter().any(|m| m.2.contains(unused)) && !format!("{found:?}").contains("hidden"), "{found:?}");
    assert!(mistakes("[log]\npartitions = 4\n")[0].2.contains("belongs to a Kafka cluster"));
    assert_eq!(mistakes("[log]\nprefix = \"a b\"\n")[0].1, "log.prefix");
}

#[test]
fn names_and_sites_of_the_ports_are_read() {
    let text = "[api]\nhosts = [\"Ops.Example.org\", \"${NAME}\"]\nallowed_origins = [\"https://Ops.Example:443/\", \"http://localhost:5173\"]\n\
                [admin]\nhosts = [\"headwater\"]\n[store]\nhosts = [\"clickhouse.internal\", \"10.1.2.3\"]\n";
    let config = parse(text, Path::new(""), &|name| (name == "NAME").then(|| "hw".to_owned())).expect("no mistake");
    assert_eq!(config.api_hosts, ["Ops.Example.org", "hw"]);
    assert_eq!(config.allowed_origins, ["https://ops.example", "http://localhost:5173"], "as browsers send them");
    assert_eq!((config.admin_hosts, config.store.hosts.len()), (vec!["headwater".to_owned()], 2));
    let config = parse("", Path::new(""), &env).expect("no mistake");
    assert!(config.api_hosts.is_empty() && config.allowed_origins.is_empty() && config.store.hosts.is_empty());
}

#[test]
fn the_analyst_without_landlock_wants_a_word() {
    let read = |text: &str| parse(text, Path::new(""), &env).expect("no mistake").store.analyst_without_landlock;
    assert!(!read("") && !read("[store]\nanalyst_without_landlock = false\n"));
    assert!(read("[store]\nanalyst_without_landlock = true\n"));
    let found = mistakes("[store]\nanalyst_without_landlock = \"yes\"\n");
    assert_eq!((found[0].0, found[0].1.as_str()), (2, "store.analyst_without_landlock"));
    // What is watched is told where all are one tenant, or where the file says so.
    let told = |text: &str| parse(text, Path::new(""), &env).expect("no mistake").analysts_see_contracts();
    assert!(told("") && !told("[auth]\nmode = \"keys\"\n") && !told("[store]\nanalyst_contracts = false\n"));
    assert!(told("[store]\nanalyst_contracts = true\n[auth]\nmode = \"accounts\"\n"));
    assert!(found[0].2.contains("true or false"), "{found:?}");
}

#[test]
fn wrong_names_and_sites_are_told_where_they_stand() {
    let found = mistakes(
        "[api]\nhosts = [\"ok.example\",\n  \"https://ops.example\",\n  7]\nallowed_origins = [\"*\",\n \"https://a.example/x\"]\n\
         [admin]\nhosts = \"headwater\"\nallowed_origins = []\n[store]\nhosts = [\"ch:8123\"]\n",
    );
    let expected: &[(usize, &str, &str)] = &[
        (3, "api.hosts", "write only the host: \"ops.example\""),
        (4, "api.hosts", "is a whole number"),
        (5, "api.allowed_origins", "each site"),
        (6, "api.allowed_origins", "\"https://a.example\""),
        (8, "admin.hosts", "write a list such as `hosts = ["),
        (9, "admin.allowed_origins", "known here: hosts, listen"),
        (11, "store.hosts", "write only the host: \"ch\""),
    ];
    let told: Vec<_> = found.iter().map(|m| (m.0, m.1.as_str())).collect();
    assert_eq!(told, expected.iter().map(|e| (e.0, e.1)).collect::<Vec<_>>(), "{found:#?}");
    assert!(found.iter().zip(expected).all(|(f, e)| f.2.contains(e.2)), "{found:#?}");
    let many = format!("[api]\nhosts = [{}]\n", "\"a\",".repeat(65));
    assert!(mistakes(&many)[0].2.contains("at most 64"));
}

#[test]
fn two_ports_that_are_one_are_told_at_the_key_to_change() {
    let both = "[api]\nlisten = \"127.0.0.1:9000\"\n[admin]\nlisten = \"0.0.0.0:9000\"\n[auth]\nmode = \"keys\"\n";
    let one = |text: &str| {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let (line, key, words) = one(both);
    assert_eq!((line, key.as_str()), (4, "admin.listen"));
    assert!(words.contains("`[api] listen` too (127.0.0.1:9000)"), "{words}");
    let (line, key, words) = one("[admin]\nlisten = \"127.0.0.1:9000\"\n[api]\nlisten = \"127.0.0.1:9000\"\n");
    assert_eq!((line, key.as_str()), (4, "api.listen"), "the later one: {words}");
    let (line, key, words) = one("[api]\n# the admin port's\nlisten = \"127.0.0.1:9090\"\n");
    assert_eq!((line, key.as_str()), (3, "api.listen"));
    assert!(words.contains("`[admin] listen` too (127.0.0.1:9090, which is its default)"), "{words}");
    assert_eq!(one("[store]\nlisten = \"127.0.0.1:8080\"\n").1, "store.listen");
    assert_eq!(one("[admin]\nlisten = \"127.0.0.1:8123\"\n").1, "admin.listen");
    let elsewhere = "[admin]\nlisten = \"127.0.0.1:8123\"\n[store]\nurl = \"http://10.0.0.4:8123\"\npassword = \"p\"\n";
    assert!(parse(elsewhere, Path::new(""), &env).is_ok(), "that store takes no port here");
    let free = "[api]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    assert!(parse(free, Path::new(""), &env).is_ok());
}

#[test]
fn what_cannot_work_is_told() {
    for dir in ["", " ", "/proc/x", "/sys", "/dev/null", "/var/../proc"] {
        let found = mistakes(&format!("[data]\ndir = \"{dir}\"\n"));
        assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, 2, "data.dir"), "{dir}: {found:?}");
        assert!(found[0].2.contains("/var/lib/headwater"), "{found:?}");
    }
    for dir in ["/process", "/dev/shm/headwater", "./devices", "/srv/proc"] {
        assert!(parse(&format!("[data]\ndir = \"{dir}\"\n"), Path::new("/etc"), &env).is_ok(), "{dir}");
    }
    let found = mistakes(&GOOD.replace("chain_id = 5000", "chain_id = 0"));
    assert_eq!((found.len(), found[0].1.as_str()), (1, "network[0].chain_id"), "{found:?}");
    for user in ["analyst", ""] {
        let found = mistakes(&format!("[store]\nuser = \"{user}\"\n"));
        assert_eq!((found.len(), found[0].1.as_str()), (1, "store.user"), "{found:?}");
    }
    for (users, key) in [
        ("user = \"api\"", "store.user"),
        ("api_user = \"headwater\"", "store.api_user"),
        ("user = \"x\"\napi_user = \"x\"", "store.api_user"),
        ("api_user = \"analyst\"", "store.api_user"),
        ("api_user = \"\"", "store.api_user"),
    ] {
        let found = mistakes(&format!("[store]\n{users}\n"));
        assert_eq!((found.len(), found[0].1.as_str()), (1, key), "{users}: {found:?}");
    }
    let found = mistakes("[log]\nkafka = \"a:1\"\nmax_bytes = 1\nmin_free_bytes = 1\nsync = \"os\"\n");
    let told: Vec<_> = found.iter().map(|m| (m.0, m.1.as_str())).collect();
    assert_eq!(told, [(3, "log.max_bytes"), (4, "log.min_free_bytes"), (5, "log.sync")], "{found:?}");
    assert!(found.iter().all(|m| m.2.contains("no effect with `kafka`")), "{found:?}");
    let found = mistakes("[log]\nmax_bytes = 100000000\n");
    assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, 2, "log.max_bytes"), "{found:?}");
    assert!(found[0].2.contains("at least 268435456 (256 MiB)"), "{found:?}");
    assert!(parse("[log]\nmax_bytes = 268435456\n", Path::new(""), &env).is_ok());
}

#[test]
fn a_store_that_others_reach_wants_long_passwords_and_is_warned_about() {
    let store = |listen: &str, password: &str| {
        format!("[store]\nlisten = \"{listen}:8123\"\npassword = \"{password}\"\nanalyst_password = \"{password}\"\n")
    };
    for open in ["0.0.0.0", "[::]", "10.0.0.4"] {
        let found = mistakes(&store(open, "elevenchars"));
        let told: Vec<_> = found.iter().map(|m| (m.0, m.1.as_str())).collect();
        assert_eq!(told, [(3, "store.password"), (4, "store.analyst_password")], "{found:?}");
        assert!(found.iter().all(|m| m.2.contains("12 characters") && !m.2.contains("eleven")), "{found:?}");
        let config = parse(&store(open, "twelve chars"), Path::new(""), &env).expect("long enough");
        let warnings = config.store.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("TLS") && warnings[0].contains(open), "{warnings:?}");
    }
    let server = "[store]\nurl = \"http://10.0.0.4:8123\"\npassword = \"x\"\n";
    let config = parse(server, Path::new(""), &env).expect("a server").store;
    let warnings = config.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("api_password"), "{warnings:?}");
    let config = parse(&format!("{server}api_password = \"y\"\n"), Path::new(""), &env).expect("a server").store;
    assert!(config.warnings().is_empty() && config.api_user == "api");
    for own in ["127.0.0.1", "[::1]", "127.0.0.2"] {
        let config = parse(&store(own, "x"), Path::new(""), &env).expect("nobody else reaches it");
        assert!(config.store.warnings().is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn no_input_panics(text in ".{0,400}") {
        let _ = parse(&text, Path::new(""), &env);
    }
    #[test]
    fn no_toml_like_input_panics(lines in proptest::collection::vec(
        proptest::sample::select(vec![
            "[api]", "[[network]]", "[network]", "slug = 1", "listen = []", "url = \"${\"", "[[network.endpoint]]",
            "headers = 3", "[network.endpoint.headers]", "start = -4", "start = 1.5", "endpoint = true", "dir = \"x\"",
            "hosts = [\"a[\", 3]", "hosts = [\"://:\"]", "allowed_origins = [\"http://[\"]", "[store]", "[admin]", "[log]",
        ]), 0..12)) {
        let _ = parse(&lines.join("\n"), Path::new(""), &env);
    }
}

#[test]
fn what_is_verified_is_chosen_per_network() {
    let with = |word: &str| GOOD.replace("start = 65000000", &format!("verify = {word}"));
    for (word, verify) in
        [("profile", Verify::Profile), ("signatures", Verify::Signatures), ("structure", Verify::Structure)]
    {
        let config = parse(&with(&format!("\"{word}\"")), Path::new("/etc/hw"), &env).expect("good");
        assert_eq!((config.networks[0].verify, config.networks[0].start), (verify, Start::Latest));
    }
    for wrong in ["\"none\"", "\"\"", "false"] {
        let found = mistakes(&with(wrong));
        assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, 9, "network[0].verify"), "{found:?}");
    }
    assert!(mistakes(&with("\"none\""))[0].2.contains("\"signatures\""));
}

#[test]
fn endpoints_say_whose_they_are_and_how_much_they_give() {
    let more = r#"
[[network.endpoint]]
url = "http://10.0.0.7:8545"
operator = "own"
roles = ["serve", "stream"]
priority = 2
limit = "300/min"
per_day = 500_000
[providers]
probe_every = "10s"
hedge = true
quarantine = "1h"
"#;
    let text = GOOD.replace("start = 65000000", "confirm = 2\nconfirm_within = \"1500ms\"") + more;
    let config = parse(&text, Path::new("/etc/hw"), &env).expect("good");
    let network = &config.networks[0];
    assert_eq!((network.confirm, network.confirm_within.as_millis()), (Confirm::Operators(2), 1_500));
    let [first, second] = &network.endpoints[..] else { panic!("two endpoints") };
    assert_eq!((first.operator.as_str(), first.priority, first.limit, first.per_day), ("example.org", 1, None, None));
    assert_eq!(first.roles, Role::ALL);
    assert_eq!((second.name.as_str(), second.operator.as_str(), second.priority), ("10.0.0.7", "own", 2));
    assert_eq!(second.roles, [Role::Stream, Role::Serve]);
    assert_eq!((second.limit.map(Rate::per_second), second.per_day), (Some(5.0), Some(500_000)));
    let providers = config.providers;
    assert_eq!((providers.probe_every.as_secs(), providers.hedge, providers.quarantine.as_secs()), (10, true, 3_600));
    let plain = parse(GOOD, Path::new("/etc/hw"), &env).expect("good");
    assert_eq!(plain.providers, Providers::default());
    assert_eq!((plain.networks[0].confirm, plain.networks[0].confirm_within.as_secs()), (Confirm::Auto, 2));
    for (word, confirm) in [("\"auto\"", Confirm::Auto), ("\"never\"", Confirm::Never), ("1", Confirm::Operators(1))] {
        let text = GOOD.replace("start = 65000000", &format!("confirm = {word}"));
        assert_eq!(parse(&text, Path::new("/etc/hw"), &env).expect("good").networks[0].confirm, confirm);
    }
}

#[test]
fn headers_are_such_as_http_allows() {
    let found = mistakes(&GOOD.replace("authorization = \"Bearer ${TOKEN}\"", "\"x y\" = \"1\"\nb = \"a\\nb\""));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].0, found[0].1.as_str()), (15, "network[0].endpoint[0].headers.x y"));
    assert!(found[1].2.contains("in one line") && !found[1].2.contains("a\nb"), "{found:?}");
}

#[test]
fn a_file_with_mistakes_still_says_whom_to_ask() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("headwater.toml");
    let ask = |text: &str| {
        std::fs::write(&file, text).expect("written");
        admin_of(&file).map(|address| address.to_string()).map_err(|e| e.to_string())
    };
    assert_eq!(ask("[admin]\nlisten = \"127.0.0.1:9\"\n[x]\ny = \"${NOT_SET}\""), Ok("127.0.0.1:9".to_owned()));
    for unknown in ["", "[admin", "[admin]\nlisten = 7", "admin = 3"] {
        assert_eq!(ask(unknown), Ok(ADMIN_LISTEN.to_owned()), "{unknown}");
    }
    assert!(admin_of(&dir.path().join("none")).is_err());
}

#[test]
fn every_mistake_about_endpoints_is_told_where_it_stands() {
    let text = r#"
[[network]]
slug = "a"
family = "evm"
chain_id = 1
confirm = 3
confirm_within = "1h"
[[network.endpoint]]
url = "https://rpc.one.example"
operator = ""
roles = ["stream", "sing", "stream"]
priority = 70000
limit = "25"
per_day = 0
[[network]]
slug = "b"
family = "evm"
chain_id = 1
confirm = 3
[[network.endpoint]]
url = "https://a.two.example"
roles = ["serve"]
[[network.endpoint]]
url = "https://a.two.example"
name = "second"
roles = ["trace"]
[[network.endpoint]]
url = "https://a.two.example/v2"
roles = ["trace"]
[[network]]
slug = "c"
family = "evm"
chain_id = 1
confirm = "sometimes"
[[network.endpoint]]
name = "a\nb"
url = "https://a.two.example"
roles = []
operater = "x"
[providers]
probe_every = "30"
hedge = "no"
quarantine = "0s"
"#;
    let found = mistakes(text);
    let expected: &[(usize, &str, &str)] = &[
        (7, "network[0].confirm_within", "from 100ms to 1m"),
        (10, "network[0].endpoint[0].operator", "registrable domain"),
        (11, "network[0].endpoint[0].roles", "`sing` is not a role"),
        (11, "network[0].endpoint[0].roles", "`stream` stands twice"),
        (12, "network[0].endpoint[0].priority", "up to 65535"),
        (13, "network[0].endpoint[0].limit", "\"25/s\""),
        (14, "network[0].endpoint[0].per_day", "never be asked"),
        (20, "network[1].endpoint", "no endpoint has the role stream"),
        (27, "network[1].endpoint[2].name", "names another endpoint of this network already"),
        (34, "network[2].confirm", "is `sometimes`"),
        (36, "network[2].endpoint[0].name", "one line"),
        (38, "network[2].endpoint[0].roles", "is empty"),
        (39, "network[2].endpoint[0].operater", "did you mean `operator`?"),
        (41, "providers.probe_every", "with its unit (ms, s, m, h, d, w, y), such as \"30s\""),
        (42, "providers.hedge", "true or false"),
        (43, "providers.quarantine", "from 1s to 7d"),
    ];
    for (line, key, words) in expected {
        assert!(
            found.iter().any(|(l, k, t)| l == line && k == key && t.contains(words)),
            "no mistake at {line} for {key} with {words:?} in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    let one = GOOD.replace("start = 65000000", "confirm = 2");
    let found = mistakes(&one);
    assert_eq!((found.len(), found[0].1.as_str()), (1, "network[0].confirm"), "{found:?}");
    assert!(found[0].2.contains("wants 2 operators, and the endpoints are of one operator"), "{found:?}");
    let zero = mistakes(&GOOD.replace("start = 65000000", "confirm = 0"));
    assert!(zero.len() == 1 && zero[0].2.contains("\"never\""), "{zero:?}");
}

#[test]
fn how_long_rows_are_kept_is_read_and_what_cannot_be_is_told() {
    let text = format!(
        "[store]\nkeep = \"90d\"\nkeep_windows = \"2y\"\nmax_bytes = \"200GiB\"\n{}",
        GOOD.replace("start = 65000000", "keep = \"30d\"")
    );
    let config = parse(&text, Path::new(""), &env).expect("good");
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!((config.store.keep, config.store.keep_windows), (days(90), days(730)));
    assert_eq!((config.store.max_bytes, config.networks[0].keep), (Some(200 << 30), days(30)));
    assert!(config.store.warnings().is_empty(), "{:?}", config.store.warnings());
    let plain = parse(GOOD, Path::new(""), &env).expect("good");
    assert_eq!((plain.store.keep, plain.store.max_bytes, plain.networks[0].keep), (None, None, None));
    for (line, key) in [
        ("keep = \"5m\"", "store.keep"),
        ("keep = 90", "store.keep"),
        ("keep = \"3 months\"", "store.keep"),
        ("keep_windows = \"1s\"", "store.keep_windows"),
        ("max_bytes = \"1MiB\"", "store.max_bytes"),
        ("max_bytes = \"much\"", "store.max_bytes"),
        ("max_bytes = 17", "store.max_bytes"),
    ] {
        let found = mistakes(&format!("[store]\n{line}\n"));
        assert_eq!((found.len(), found[0].0, found[0].1.as_str()), (1, 2, key), "{line}: {found:?}");
        assert!(found[0].2.contains("such as") || found[0].2.contains("write a text in quotes"), "{found:?}");
    }
    let found = mistakes(&GOOD.replace("start = 65000000", "keep = \"0d\""));
    assert_eq!((found.len(), found[0].1.as_str()), (1, "network[0].keep"), "{found:?}");
}
