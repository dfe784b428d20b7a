//! Whatever a change is cut off in, it is done whole or not at all.

use std::time::Instant;

use control::{Caller, Mode, Paging, Trust, Verified};

use crate::common::{both, contract};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_cut_off_anywhere_is_whole_or_nothing() {
    both(async |store| {
        let control = store.open_with(Mode::None, Trust::default()).await;
        let who = control.anyone().expect("anyone");
        // From at once to twice as long as it takes here.
        let begun = Instant::now();
        control.create_contract(Caller::here(&who), &contract("b", 0), None).await.expect("made");
        let step = begun.elapsed() / 60;
        let (mut cut, mut done) = (0, 1);
        for n in 0..120u32 {
            let new = contract("a", u64::from(n));
            let change = control.create_contract(Caller::here(&who), &new, None);
            match tokio::time::timeout(n * step, change).await {
                Ok(made) => {
                    made.expect("made");
                    done += 1;
                }
                Err(_) => cut += 1,
            }
        }
        // What was cut off frees its connection by and by; the store goes on at once.
        control.create_contract(Caller::here(&who), &contract("b", 1), None).await.expect("made");
        let Verified::Fits { entries, .. } = control.verify_audit(who.tenant()).await.expect("verified") else {
            panic!("the chain does not fit")
        };
        let page = control
            .contracts(who.tenant(), None, &Paging { limit: Some(500), ..Paging::default() })
            .await
            .expect("a page");
        assert_eq!(page.items.len() as i64, entries, "a contract for each entry");
        assert_eq!(store.raw.texts("SELECT id FROM outbox").await.len() as i64, entries);
        eprintln!("{cut} cut off, {done} done, {entries} there (sqlite: {})", store.is_sqlite());
        assert!(cut > 0 && entries > done, "{cut} {done} {entries}");
        control.close().await;
        store
    })
    .await;
}
