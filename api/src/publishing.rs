//! The publisher of what changes in the control store (rule 34), run beside the API, and what it says of itself in the stage's status.

use std::sync::Arc;

use control::{Control, publisher::Publisher};
use runtime::{beat::Board, log::Log};
use schemas::{codec::Codec, records::stage_status::state::RUNNING};
use tokio_util::sync::CancellationToken;

/// Publishes, or stands by, until told to end. Requests are answered whatever keeps it from publishing: that is said, and no more.
pub async fn run(
    control: Arc<Control>,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: &str,
    board: &Board,
    shutdown: &CancellationToken,
) {
    let publisher = Publisher::new(control, log, codec, instance);
    let mut standing = publisher.standing();
    let telling = async {
        while standing.changed().await.is_ok() {
            let trouble = standing.borrow_and_update().trouble.clone();
            board.process(RUNNING, trouble);
        }
    };
    // The telling ends with the publisher, which has the other end.
    tokio::join!(publisher.run(shutdown.clone()), telling);
}
