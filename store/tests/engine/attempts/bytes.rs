//! Odd bytes: what the judge reads and what the engine reads must be one text.

use super::{PASSES, Report, UNGRAMMATICAL};
use crate::watched::Watched;
use std::time::Duration;

/// A full-width or zero-width letter, a byte order mark, a zero byte, other blanks, heredocs, comments of every kind.
const STATEMENTS: &[&[u8]] = &[
    b"SELECT file\xe2\x80\x8b('/etc/passwd')",
    b"SELECT \xef\xbc\xa6ile('/etc/passwd')",
    b"\xef\xbb\xbfSELECT hostName()",
    b"SELECT 1\0; DROP TABLE t",
    b"SELECT 1 -- \0\n, hostName()",
    b"SELECT hostName()\0",
    b"\0SELECT hostName()",
    b"SELECT '\0', hostName()",
    b"SELECT `a\0`, hostName()",
    b"SELECT\x0bhostName()",
    b"SELECT\x0chostName()",
    b"SELECT\xa0hostName()",
    b"SELECT\xc2\xa0hostName()",
    b"SELECT\xe3\x80\x80hostName()",
    b"SELECT\xe2\x80\xa8hostName()",
    b"SELECT\x85hostName()",
    b"SELECT\x1fhostName()",
    b"SELECT -- \n hostName()",
    b"SELECT --\rhostName()",
    b"SELECT 1 -- x\x0b, 1\n, hostName()",
    b"SELECT #x\n hostName()",
    b"SELECT #!x\n hostName()",
    b"SELECT # x\r\n hostName()",
    b"SELECT /* /* */ hostName() -- */",
    b"SELECT /* /* */ */ hostName()",
    b"SELECT /**/hostName/**/(/**/)",
    b"SELECT 1 // hostName()\n, hostName()",
    b"SELECT $$x$$, hostName()",
    b"SELECT $a$ $$ $a$, hostName()",
    b"SELECT $a$ ' $a$, hostName(), '",
    b"SELECT '''', hostName(), ''''",
    b"SELECT '\\'', hostName(), '\\''",
    b"SELECT \"\\\"\", hostName()",
    b"SELECT `\\``, hostName()",
    b"SELECT ```a`, hostName()",
    b"SELECT 'a' 'b', hostName()",
    b"SELECT x'27', hostName()",
    b"SELECT b'0101', hostName()",
    b"SELECT \xe2\x80\x98x\xe2\x80\x99, hostName()",
    b"SELECT \xe2\x80\x9chostName\xe2\x80\x9d()",
    b"SELECT \xe2\x88\x92 1, hostName()",
    b"SELECT h\\u006fstName()",
    b"SELECT `host\\x4eame`()",
    b"SELECT `host\\Name`()",
    b"SELECT \"host\\x4eame\"()",
    b"SELECT 1\xff, hostName()",
    b"\xff\xfe\xfd",
    b"SELECT '\xff', hostName()",
    b"SELECT {x:UInt8}, hostName()",
    b"SELECT ?, hostName()",
    b"SELECT @@version, hostName()",
    b"SELECT hostName (*)",
    b"SELECT hostName(DISTINCT 1)",
    b"SELECT hostName()()",
    b"SELECT hostName.x()",
    b"SELECT system.hostName()",
    b"sElEcT hOsTnAmE()",
    b"SELECT * FROM sYsTeM.server_settings",
    b"SELECT * FROM `system\\x2eserver_settings`",
    b"SELECT * FROM `system.server_settings`",
    b"SELECT * FROM system.`server\\x5fsettings`",
    b"SELECT * FROM \"syst\\x65m\".server_settings",
];

/// The name stands in a comment or in a text, as the engine reads it: nothing is called, and it may pass.
const HARMLESS: &[&[u8]] = &[
    b"SELECT 1 --\r, hostName()",
    b"SELECT 1 --\x0b, hostName()",
    b"SELECT '\\', hostName(), '",
    b"SELECT 'a'', hostName(), '",
    b"SELECT $x$ ', hostName(), $$ $x$",
    b"SELECT 1 /* -- \n hostName() */",
    b"SELECT 1 AS `a``, hostName()`",
];

#[tokio::test(flavor = "multi_thread")]
async fn odd_bytes_hide_nothing() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    let wide: Vec<u8> = "SELECT hostName()".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // 46: what is left is another name, of no function. 36: a zero byte or bytes that are no text. 60: a name with a point in it is one name, of a table that is not there.
    // 456: a parameter without a value.
    let refused = [UNGRAMMATICAL, &[36, 46, 60, 456]].concat();
    let may_pass = [UNGRAMMATICAL, &[PASSES]].concat();
    let hidden = STATEMENTS.iter().copied().chain([&wide[..]]).map(|statement| (statement, &refused));
    for (statement, codes) in hidden.chain(HARMLESS.iter().map(|statement| (*statement, &may_pass))) {
        match watched.analyst.ask("/", statement, Duration::from_secs(20)) {
            Ok(answer) => report.judge(&watched, "odd bytes", codes, statement, &answer),
            Err(silence) => report.wrong(format!("{silence:?}: {:?}", String::from_utf8_lossy(statement))),
        }
    }
    report.end(&watched, pid);
    watched.stop().await;
}
