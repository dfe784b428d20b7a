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
    assert_eq!((network.chain_id, network.start), (5000, Start::Height(65_000_000)));
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
family = "bitcoin"
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
    assert_eq!((kafka.brokers.as_str(), kafka.replication, kafka.partitions), ("a:9092, b:9092", Some(3), 8));
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
        ]), 0..12)) {
        let _ = parse(&lines.join("\n"), Path::new(""), &env);
    }
}
