use std::{
    io::{Error, ErrorKind, Result as IoResult},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use url::Url;

use super::{PORTS, Refused, Resolve, Targets};

/// A name server of an attacker's: what his names say, and one that says something else every other time.
#[derive(Default)]
struct Theirs(AtomicUsize);

#[async_trait]
impl Resolve for Theirs {
    async fn addresses(&self, name: &str) -> IoResult<Vec<IpAddr>> {
        let texts: &[&str] = match name {
            "good.example.com" | "xn--bcher-kva.example.com" => {
                &["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]
            }
            "changes.example.com" if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => &["93.184.216.34"],
            "changes.example.com" | "to-loopback.example.com" => &["127.0.0.1"],
            "one-of-two.example.com" => &["93.184.216.34", "10.0.0.1"],
            "to-metadata.example.com" => &["169.254.169.254"],
            "to-mapped.example.com" => &["::ffff:10.0.0.1"],
            "to-nat64.example.com" => &["64:ff9b::a00:1"],
            "to-unique-local.example.com" => &["fd00::1"],
            "mail.corp.internal" => &["10.9.9.9"],
            "localhost" => &["127.0.0.1", "::1"],
            "nothing.example.com" => &[],
            _ => return Err(Error::from(ErrorKind::NotFound)),
        };
        Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
    }
}

fn targets(allow: &[&str]) -> Targets {
    let allowed = allow.iter().map(|text| text.parse().unwrap()).collect();
    Targets::of(allowed, PORTS.to_vec(), Arc::new(Theirs::default()))
}

/// URLs by which people have reached what they should not. None may get through, whether the parser, the list or the address stops it.
const TRICKY: &[&str] = &[
    // loopback and its spellings
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "http://127.0.0.1:80/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0177.1/",
    "http://017700000001/",
    "http://00000177.0.0.01/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://127.0.0.1./",
    "http://127.000.000.001/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127.0.0.1\\@good.example.com/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.0.0.0:443/",
    "http://00/",
    "http://0x0/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://loCalHost:443/",
    "http://foo.localhost/",
    "http://localhost.localdomain/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://local\thost/",
    "http://loca\u{ad}lhost/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    // IPv6
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2620:4f:8000::1]/",
    "http://[::1%lo]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    // private and special ranges
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://0xa000001/",
    "http://012.0.0.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://0xac100001/",
    "http://192.168.0.1/",
    "http://192.168.1.1:443/",
    "http://3232235777/",
    "http://0300.0250.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://100.127.255.255/",
    "http://169.254.169.254/",
    "http://169.254.169.254./latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://0xa9.254.0251.254/",
    "http://169.254.43518/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://4294967295/",
    "http://168.63.129.16/",
    // names
    "http://to-loopback.example.com/",
    "http://to-metadata.example.com/",
    "http://to-mapped.example.com/",
    "http://to-nat64.example.com/",
    "http://to-unique-local.example.com/",
    "http://one-of-two.example.com/",
    "http://mail.corp.internal/",
    "http://metadata/",
    "http://metadata.google.internal/",
    "http://router.lan/",
    "http://printer.local/",
    "http://nas.home.arpa/",
    "http://intranet/",
    "http://wiki.corp/",
    "http://host.docker.internal/",
    "http://kubernetes.default.svc/",
    "http://nothing.example.com/",
    "http://unknown.example.com/",
    // users, schemes, ports, and what is no URL
    "http://good.example.com@127.0.0.1/",
    "http://user:word@good.example.com/",
    "http://user@good.example.com/",
    "http://:word@good.example.com/",
    "http://good.example.com:80@10.0.0.1/",
    "http://good.example.com#@127.0.0.1:22/x@",
    "ftp://good.example.com/",
    "file:///etc/passwd",
    "gopher://good.example.com/",
    "dict://good.example.com:11211/",
    "ldap://good.example.com/",
    "ws://good.example.com/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "jar:http://good.example.com!/",
    "unix:/var/run/docker.sock",
    "http+unix://%2fvar%2frun%2fdocker.sock/",
    "http://good.example.com:22/",
    "http://good.example.com:25/",
    "http://good.example.com:6379/",
    "http://good.example.com:8123/",
    "http://good.example.com:9092/",
    "https://good.example.com:0/",
    "http://good.example.com:65536/",
    "http://good.example.com:-1/",
    "http://93.184.216.34:3306/",
    "http://",
    "http:///",
    "http://./",
    "http://../",
    "http://[/",
    "http://[::1/",
    "http://1.2.3.4.5/",
    "http://256.256.256.256/",
    "http://0x100000000/",
    "http://good.example.com:443:80/",
    "//127.0.0.1/",
    "127.0.0.1",
    "",
    " ",
    "http://exa mple.com/",
    "http://good.example.com\u{0}.evil/",
    "http://%00/",
    "http://127.0.0.1%00.example.com/",
    "http://xn--/",
];

#[tokio::test]
async fn tricky_urls_are_refused() {
    let targets = targets(&[]);
    assert!(TRICKY.len() >= 100, "{}", TRICKY.len());
    for text in TRICKY {
        // A URL with a fragment is refused where it is written (`conditions::Channel`): to it goes what is before the `#`.
        let Ok(url) = Url::parse(text) else { continue };
        if url.fragment().is_some() && url.host_str() == Some("good.example.com") {
            continue;
        }
        let got = targets.url(&url).await;
        assert!(got.is_err(), "{text} ({url}) may be sent to: {got:?}");
    }
}

#[tokio::test]
async fn public_ones_are_allowed_and_pinned() {
    let targets = targets(&[]);
    for text in [
        "https://good.example.com/x?y=z",
        "http://GOOD.example.com./",
        "https://good.example.com:8443",
        "https://bücher.example.com",
    ] {
        let addresses = targets.url(&Url::parse(text).unwrap()).await.unwrap();
        assert_eq!(addresses.len(), 2, "{text}");
    }
    assert!(targets.url(&Url::parse("https://1.1.1.1/").unwrap()).await.is_ok());
    assert!(targets.url(&Url::parse("https://[2606:4700:4700::1111]/").unwrap()).await.is_ok());
    assert!(
        targets.url(&Url::parse("https://[64:ff9b::101:101]/").unwrap()).await.is_ok(),
        "NAT64 of a public address"
    );
    assert!(targets.host("good.example.com", 587).await.is_ok());
    assert!(targets.host("good.example.com", 25).await.is_err());
    assert!(targets.host("2130706433", 587).await.is_err());
}

#[tokio::test]
async fn a_name_that_changes_is_looked_at_again() {
    let targets = targets(&[]);
    let url = Url::parse("https://changes.example.com/").unwrap();
    // The first word is what is connected to; the next attempt asks anew and is refused.
    assert_eq!(targets.url(&url).await.unwrap(), ["93.184.216.34:443".parse().unwrap()]);
    assert!(matches!(targets.url(&url).await, Err(Refused::NotAllowed(_))));
}

#[tokio::test]
async fn the_operators_list_is_exact() {
    let targets = targets(&["127.0.0.1:9000", "10.1.0.0/16", "mail.corp.internal:25", "[fd00::1]:25", "fd01::/16"]);
    let ok = [
        "http://127.0.0.1:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://10.1.2.3:1234/",
        "http://[fd00::1]:25/",
        "http://[fd01::7]/",
    ];
    for text in ok {
        targets.url(&Url::parse(text).unwrap()).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    }
    assert_eq!(targets.host("mail.corp.internal", 25).await.unwrap(), ["10.9.9.9:25".parse().unwrap()]);
    let refused = [
        "http://127.0.0.1:9001/",
        "http://127.0.0.2:9000/",
        "http://10.2.0.1/",
        "http://mail.corp.internal/",
        "http://[fd00::1]/",
        "http://localhost:9000/", // ::1 is not on the list
    ];
    for text in refused {
        assert!(targets.url(&Url::parse(text).unwrap()).await.is_err(), "{text}");
    }
    for wrong in ["", "a b", "127.0.0.1:x", "127.0.0.1:0", "10.0.0.0/33", "http://x/", "host:70000"] {
        assert!(Targets::new(&[wrong.to_owned()], &PORTS).is_err(), "{wrong}");
    }
}
