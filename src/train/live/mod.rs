//! The live page: a run followed, paused and stopped in a browser while it trains (`receptive train --live`).
//!
//! ```text
//!   training thread                         a thread for each client
//!   Follower --- writes what is new --> Hub <-- reads what it has not sent yet --- server --> browser
//!            <-- asks: pause? stop? ---     <-- pause, resume, stop ------------------------- POST
//! ```
//!
//! **Training never waits for a client.** The hub keeps the latest of everything, not queues: a client that reads slowly misses
//! what came between, one that never reads blocks its own thread until a write times out. With no client connected a step
//! costs a counter and a point of the curve; filters and predictions are looked at only while somebody watches, and so
//! seldom that they take at most a fortieth of the time. The network is asked in evaluation mode, unrecorded: weights,
//! statistics and random numbers are the same bits with and without a page.
//!
//! **Nobody else gets in.** The server listens on 127.0.0.1 alone. Every address starts with 128 random bits that only the
//! terminal shows; `Host` must be this machine's own name, so that no foreign name can be bound to it (DNS rebinding); a request
//! from a page of another origin is refused; there are no CORS headers. Requests are bounded in size and time, connections
//! in number and by the files that the run must be able to open.
//!
//! The server is std's listener and [`httparse`]: of the small server crates, tiny_http bounds neither a request's head nor
//! the time or the number of its connections.
//!
//! | file | what |
//! |---|---|
//! | `events.rs` | what the page is told: plain data |
//! | `curve.rs` | one point a step in bounded memory |
//! | `phases.rs` | the phases of each epoch, in bounded memory |
//! | `hub.rs` | the latest of everything, between the training thread and the clients |
//! | `follower.rs` | the callback: publishes, and pauses |
//! | `gallery.rs` | a few validation images and what the network says of them; the first filters |
//! | `pace.rs` | images a second, time left |
//! | `token.rs` | the secret in the address |
//! | `http.rs` | requests within bounds, answers with their headers |
//! | `server.rs` | who is let in, and to what |
//! | `page.rs`, `page/` | the page itself |

mod curve;
mod events;
mod follower;
mod gallery;
mod http;
mod hub;
mod pace;
mod page;
mod phases;
mod server;
mod token;

pub use events::End;
pub use follower::Follower;
pub use server::Server;
