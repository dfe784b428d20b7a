//! Delivery over a real log, to receivers that answer as the services do.

mod again;
mod chats;
mod mail;
mod places;
mod queue;
mod receivers;
mod scripts;
mod support;
mod webhooks;
