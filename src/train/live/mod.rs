//! The live page: a run followed, paused and stopped in a browser while it trains (`receptive train --live`).
//!
//! ```text
//!   training thread                             a thread for each client
//!   LiveCallback --- publishes news ------> Hub <-- reads what it has not sent yet --- server --> browser
//!                <-- asks: pause? stop? ---     <-- pause, resume, stop ------------------------- POST
//! ```
//!
//! **Training never waits for a client.** The hub keeps the latest version of everything, not queues. A client that
//! reads slowly misses the versions in between. A client that never reads blocks only its own thread, until a write
//! times out. With no client connected a step costs one counter and one point of the curve. Snapshots of filters and
//! predictions are taken only while a client is connected, and take at most a fortieth of the time. They run the
//! network in evaluation mode, without recording gradients: weights, statistics and random numbers are the same bits
//! with and without a page.
//!
//! **Other users and other pages have no access.** The server listens on 127.0.0.1 only. Every path starts with 128
//! random bits that only the terminal shows. `Host` must be this machine's own name, so that no foreign name can be
//! bound to it (DNS rebinding). A request from a page of another origin is refused, and there are no CORS headers.
//! Requests are limited in size and time. The number of connections is limited, so that the run can still open its own
//! files.
//!
//! The server uses the standard library's listener and [`httparse`]. Of the small server crates, tiny_http limits
//! neither the size of a request's head nor the time or the number of its connections.
//!
//! | file | what |
//! |---|---|
//! | `events.rs` | the events sent to the page: plain data |
//! | `curve.rs` | one point per step, in bounded memory |
//! | `phases.rs` | the phases of each epoch, in bounded memory |
//! | `broadcast.rs` | the latest state of everything, shared by the training thread and the clients |
//! | `live_callback.rs` | the callback: publishes, and pauses |
//! | `gallery.rs` | predictions for a few validation images; the first filters |
//! | `throughput.rs` | images per second, time left |
//! | `token.rs` | the secret in the address |
//! | `http.rs` | reads requests within limits, writes answers with their headers |
//! | `server.rs` | access checks and routes |
//! | `page.rs`, `page/` | the page itself |

mod broadcast;
mod curve;
mod events;
mod gallery;
mod http;
mod live_callback;
mod page;
mod phases;
mod server;
mod throughput;
mod token;

pub use events::RunEnd;
pub use live_callback::LiveCallback;
pub use server::Server;
