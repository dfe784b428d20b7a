//! Grants and revokes what `headwater topics acls` prints, over a broker's listener for super users: `CreateAcls` and
//! `DeleteAcls`, version 1 (<https://kafka.apache.org/protocol>), since librdkafka's calls for it are not in `rdkafka`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// One right of one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    pub principal: String,
    pub operation: String,
    /// `topic`, `group` or `transactional-id`.
    pub kind: String,
    pub name: String,
    pub prefixed: bool,
}

/// The rights that lines of `kafka-acls` grant: each operation on each name.
pub fn parse(commands: &str) -> Vec<Acl> {
    let mut all = Vec::new();
    for line in commands.lines().filter(|l| l.starts_with("kafka-acls ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let values = |flag: &str| -> Vec<String> {
            words.windows(2).filter(|w| w[0] == flag).map(|w| w[1].to_owned()).collect()
        };
        assert!(words.contains(&"--add"), "{line}");
        let before = all.len();
        for kind in ["topic", "group", "transactional-id"] {
            for name in values(&format!("--{kind}")) {
                all.extend(values("--operation").into_iter().map(|operation| Acl {
                    principal: values("--allow-principal")[0].clone(),
                    operation,
                    kind: kind.to_owned(),
                    name: name.clone(),
                    prefixed: values("--resource-pattern-type") == ["prefixed"],
                }));
            }
        }
        assert!(all.len() > before, "no right in {line}");
    }
    all
}

impl Acl {
    /// As an entry or, since all its parts are given, as a filter.
    fn write(&self, out: &mut Vec<u8>) {
        let kind: u8 = match self.kind.as_str() {
            "topic" => 2,
            "group" => 3,
            "transactional-id" => 5,
            other => panic!("{other}"),
        };
        let operation: u8 = match self.operation.as_str() {
            "Read" => 3,
            "Write" => 4,
            "Create" => 5,
            "Alter" => 7,
            "Describe" => 8,
            "DescribeConfigs" => 10,
            "AlterConfigs" => 11,
            other => panic!("{other}"),
        };
        out.push(kind);
        text(out, &self.name);
        out.push(if self.prefixed { 4 } else { 3 });
        text(out, &self.principal);
        text(out, "*");
        out.push(operation);
        out.push(3); // allow
    }
}

fn text(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len() as i16).to_be_bytes());
    out.extend(s.as_bytes());
}

/// Grants.
pub fn grant(admin: &str, acls: &[Acl]) {
    call(admin, 30, acls);
}

/// Revokes.
pub fn revoke(admin: &str, acls: &[Acl]) {
    call(admin, 31, acls);
}

fn call(admin: &str, api: i16, acls: &[Acl]) {
    let mut body = Vec::new();
    body.extend(api.to_be_bytes());
    body.extend(1i16.to_be_bytes()); // version
    body.extend(7i32.to_be_bytes()); // correlation
    text(&mut body, "test");
    body.extend((acls.len() as i32).to_be_bytes());
    acls.iter().for_each(|acl| acl.write(&mut body));
    let mut broker = TcpStream::connect(admin).expect("the broker's listener for super users");
    broker.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
    broker.write_all(&(body.len() as i32).to_be_bytes()).expect("send");
    broker.write_all(&body).expect("send");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("a size")];
    broker.read_exact(&mut answer).expect("an answer");
    // Correlation, throttle time, number of results, and of each first its error code.
    let number = |at: usize| i32::from_be_bytes(answer[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(0), number(8)), (7, acls.len() as i32), "{answer:?}");
    assert_eq!(answer[12..14], [0, 0], "refused: {answer:?}");
}
