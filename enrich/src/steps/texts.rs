//! What a transaction says that is only looked at, in room that is kept from one to the next.

use std::ops::Range;

use alloy_primitives::B256;
use schemas::passing::{CallTexts, Decoded, LogView, View};

use super::{
    decode::{Called, Decoder},
    transfers,
};

/// The texts of one transaction.
#[derive(Default)]
pub struct Texts<'k> {
    called: Option<Called<'k>>,
    events: Vec<Option<(&'k str, Range<usize>)>>,
    transfers: Vec<bool>,
    text: String,
    topics: Vec<B256>,
    bytes: Vec<u8>,
}

impl<'k> Texts<'k> {
    /// Those of this transaction and its logs, in the place of the ones before.
    pub fn read(&mut self, decoder: &mut Decoder<'k>, transaction: &View<'_>, logs: &[LogView<'_>]) {
        let Self { called, events, transfers, text, topics, bytes } = self;
        text.clear();
        decoder.begin();
        let figures = &transaction.figures;
        *called = figures.to_address.filter(|_| figures.selector.is_some()).and_then(|to| {
            transaction.read_input(bytes);
            decoder.call(to, bytes, text)
        });
        events.clear();
        transfers.clear();
        for log in logs {
            topics.clear();
            topics.extend((0..log.topics()).filter_map(|at| log.topic(at)));
            log.read_data(bytes);
            transfers.push(transfers::is_transfer(topics, bytes.len()));
            let start = text.len();
            let event = log.address().and_then(|emitter| decoder.event(emitter, topics, bytes, text));
            events.push(event.map(|signature| (signature, start..text.len())));
        }
    }

    /// The call.
    pub fn call(&self) -> CallTexts<'_> {
        let Some(Called { signature, arguments, inner_calls }) = &self.called else { return CallTexts::default() };
        let text = |range: &Range<usize>| &self.text[range.clone()];
        CallTexts {
            call: Some(signature),
            arguments: arguments.as_ref().map(text),
            inner_calls: inner_calls.as_ref().map(text),
        }
    }

    /// The logs' events, in their order.
    pub fn events(&self) -> impl Iterator<Item = Option<Decoded<'_>>> {
        self.events.iter().map(|event| {
            let (signature, arguments) = event.as_ref()?;
            Some((*signature, &self.text[arguments.clone()]))
        })
    }

    /// Whether each log is a transfer of a token, in their order.
    pub fn transfers(&self) -> &[bool] {
        &self.transfers
    }
}
