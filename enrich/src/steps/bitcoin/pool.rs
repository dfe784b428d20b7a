//! Who made a block, by the tag that most pools write into the coinbase's script.
//!
//! A tag is what its pool writes by habit, and anybody can write it: nothing proves it.

use memchr::memmem;

/// Tags and whose they are, the more particular ones first.
const TAGS: &[(&str, &str)] = &[
    ("/Foundry USA Pool", "Foundry USA"),
    ("AntPool", "AntPool"),
    ("/ViaBTC/", "ViaBTC"),
    ("viabtc.com", "ViaBTC"),
    ("F2Pool", "F2Pool"),
    ("七彩神仙鱼", "F2Pool"),
    ("🐟", "F2Pool"),
    ("/Binance/", "Binance Pool"),
    ("MARA Pool", "MARA Pool"),
    ("MARA Made in USA", "MARA Pool"),
    ("/LUXOR/", "Luxor"),
    ("Powered by Luxor", "Luxor"),
    ("SBICrypto", "SBI Crypto"),
    ("/SpiderPool", "SpiderPool"),
    ("OCEAN.XYZ", "OCEAN"),
    ("/slush/", "Braiins Pool"),
    ("/Braiins", "Braiins Pool"),
    ("/BTC.COM/", "BTC.com"),
    ("/BTCcom/", "BTC.com"),
    ("/poolin.com", "Poolin"),
    ("/BTC.TOP/", "BTC.TOP"),
    ("BTCC", "BTCC"),
    ("BTCChina", "BTCC"),
    ("/BitFury/", "BitFury"),
    ("/Bitfury/", "BitFury"),
    ("/BW Pool/", "BW.COM"),
    ("bw.com", "BW.COM"),
    ("/HuoBi/", "Huobi Pool"),
    ("/Huobi/", "Huobi Pool"),
    ("okpool.top", "OKExPool"),
    ("/1THash", "1THash"),
    ("/solo.ckpool.org/", "Solo CK"),
    ("/ckpool", "CKPool"),
    ("KanoPool", "KanoPool"),
    ("/pool.bitcoin.com/", "Bitcoin.com"),
    ("ghash.io", "GHash.IO"),
    ("Mined by BTC Guild", "BTC Guild"),
    ("BTC Guild", "BTC Guild"),
    ("Eligius", "Eligius"),
    ("50BTC", "50BTC"),
    ("ozcoin", "OzCoin"),
    ("ozco.in", "OzCoin"),
    ("/Rawpool.com/", "Rawpool"),
    ("WhitePool", "WhitePool"),
    ("SecPool", "SECPOOL"),
    ("ULTIMUSPOOL", "ULTIMUSPOOL"),
    ("/ultimus/", "ULTIMUSPOOL"),
    ("NovaBlock", "NovaBlock"),
    ("Titan.io", "Titan"),
    ("/EMCDPool/", "EMCD"),
    ("Terra Pool", "Terra Pool"),
    ("Mining Squared", "Mining Squared"),
    ("/phash.io", "phash.io"),
];

/// The pool whose tag a coinbase's script has.
pub fn of(script: &[u8]) -> Option<&'static str> {
    TAGS.iter().find(|(tag, _)| memmem::find(script, tag.as_bytes()).is_some()).map(|(_, pool)| *pool)
}
