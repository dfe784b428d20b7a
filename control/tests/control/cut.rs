//! Whatever a change is cut off in, it is done whole or not at all.

use control::{Caller, Mode, Paging, Trust, Verified};

use crate::common::{both, contract, cut};

/// More than a change waits for.
const WAITS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_cut_off_anywhere_is_whole_or_nothing() {
    both(async |store| {
        let control = store.open_with(Mode::None, Trust::default()).await;
        let who = control.anyone().expect("anyone");
        let (mut cut_off, mut done) = (0, 0);
        for n in 0..3 * WAITS {
            let new = contract("a", n as u64);
            match cut(n % WAITS, control.create_contract(Caller::here(&who), &new, None)).await {
                Some(made) => {
                    made.expect("made");
                    done += 1;
                }
                None => cut_off += 1,
            }
        }
        // What was cut off frees its connection by and by; the store goes on at once.
        control.create_contract(Caller::here(&who), &contract("b", 1), None).await.expect("made");
        done += 1;
        let Verified::Fits { entries, .. } = control.verify_audit(who.tenant()).await.expect("verified") else {
            panic!("the chain does not fit")
        };
        let page = control
            .contracts(who.tenant(), None, &Paging { limit: Some(500), ..Paging::default() })
            .await
            .expect("a page");
        assert_eq!(page.items.len() as i64, entries, "a contract for each entry");
        assert_eq!(store.raw.texts("SELECT id FROM outbox").await.len() as i64, entries);
        eprintln!("{cut_off} cut off, {done} done, {entries} there (sqlite: {})", store.is_sqlite());
        // One that was cut off while its commit was under way is there as well.
        assert!(cut_off > 0 && done > 0 && entries >= done, "{cut_off} {done} {entries}");
        control.close().await;
        store
    })
    .await;
}
