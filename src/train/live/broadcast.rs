//! The latest state of everything, shared by the training thread, which writes, and the clients' threads, which read.
//!
//! There are no queues. Each client remembers what it has sent, and asks for what is newer. A slow client gets the
//! latest version of each topic and misses those in between, so nothing piles up for it. The training thread holds the
//! lock only as long as storing a pointer takes; texts are made before it takes the lock.

use super::curve::{self, Curve};
use super::events::{LivePhasePoint, LiveProgress, LiveState, RunEnd};
use super::phases::{self, Phases};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most clients that can follow a run at once.
pub(super) const MOST_CLIENTS: usize = 256;

/// The kinds of events that are sent as a whole when they change, in this order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic {
    Run,
    Filters,
    Pictures,
    Predictions,
    Health,
    /// A sentence about something that the page cannot show.
    Remark,
}

/// The event names of the topics.
const EVENTS: [&str; 6] = ["run", "filters", "pictures", "predictions", "health", "remark"];

/// Connects one training thread with its clients.
pub(super) struct Hub {
    board: Mutex<Board>,
    /// Signalled when a client asks for something or the run's state changes.
    changed: Condvar,
    /// Set by Ctrl-C or by the page.
    stop: Arc<AtomicBool>,
    /// Prints on the terminal what was requested on the page.
    pub say: fn(&str),
}

struct Board {
    clients: usize,
    /// Each topic's latest text, and its version number.
    texts: [(u64, Option<Arc<str>>); EVENTS.len()],
    curve: Curve,
    phases: Phases,
    progress: Option<LiveProgress>,
    /// A client has requested a pause.
    pause: bool,
    /// The training thread is waiting because of a pause.
    waiting: bool,
    finishing: bool,
    ended: Option<RunEnd>,
}

/// What has been sent to a client.
#[derive(Default)]
pub(super) struct Sent {
    texts: [u64; EVENTS.len()],
    curve: curve::CurveCursor,
    phases: phases::PhaseCursor,
    progress: Option<LiveProgress>,
    state: Option<LiveState>,
}

/// A connected client. Dropping it frees its place.
pub(super) struct Client<'a>(&'a Hub);

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.0.board().clients -= 1;
        self.0.changed.notify_all();
    }
}

impl Hub {
    /// A hub for a run that has not begun. Setting `stop` ends the run; `say` prints what was requested on the page.
    pub fn new(stop: Arc<AtomicBool>, say: fn(&str)) -> Hub {
        let board = Board {
            clients: 0,
            texts: Default::default(),
            curve: Curve::new(0),
            phases: Phases::default(),
            progress: None,
            pause: false,
            waiting: false,
            finishing: false,
            ended: None,
        };
        Hub { board: Mutex::new(board), changed: Condvar::new(), stop, say }
    }

    /// Ignores poisoning: a thread that panicked while it held the lock left complete values behind.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    // The training thread's side.

    /// Whether a client is connected.
    pub fn watched(&self) -> bool {
        self.board().clients > 0
    }

    /// Replaces a topic's text.
    pub fn publish(&self, topic: Topic, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("plain data have a JSON form");
        self.publish_json(topic, text);
    }

    /// As [`publish`](Self::publish), with a text that is JSON already.
    pub fn publish_json(&self, topic: Topic, json: String) {
        let json: Arc<str> = json.into();
        let mut board = self.board();
        let (version, text) = &mut board.texts[topic as usize];
        *version += 1;
        *text = Some(json);
    }

    /// The run is about to do its first step at this position.
    pub fn begin(&self, progress: LiveProgress) {
        let mut board = self.board();
        board.curve = Curve::new(progress.step);
        board.progress = Some(progress);
    }

    /// A step is done, with this loss and score of its batch.
    pub fn step(&self, loss: f64, score: f64, progress: LiveProgress) {
        let mut board = self.board();
        board.curve.push(loss, score);
        board.progress = Some(progress);
    }

    /// A phase is done.
    pub fn phase(&self, phase: LivePhasePoint) {
        self.board().phases.push(phase);
    }

    /// Stores the run's position, between steps.
    pub fn progress(&self, progress: LiveProgress) {
        self.board().progress = Some(progress);
    }

    /// Whether the run should pause. False if it should stop.
    pub fn wants_pause(&self) -> bool {
        self.board().pause && !self.stopping()
    }

    /// If a pause is requested, waits up to `moment`. Returns false if the run should go on or stop.
    pub fn pause(&self, moment: Duration) -> bool {
        let mut board = self.board();
        let pausing = board.pause && !self.stopping();
        if board.waiting != pausing {
            board.waiting = pausing;
            self.changed.notify_all();
        }
        if pausing {
            drop(self.changed.wait_timeout(board, moment));
        }
        pausing
    }

    /// The last step is done.
    pub fn finishing(&self) {
        self.board().finishing = true;
        self.changed.notify_all();
    }

    /// Tells the clients how the run ended, if that is not known yet, and gives them a short time to receive it.
    pub fn end(&self, end: RunEnd, moment: Duration) {
        let mut board = self.board();
        board.ended.get_or_insert(end);
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(board, moment, |board| board.clients > 0));
    }

    // The clients' side.

    /// Takes a place for a client, if one is free.
    pub fn client(&self) -> Option<Client<'_>> {
        let mut board = self.board();
        let free = board.clients < MOST_CLIENTS;
        board.clients += usize::from(free);
        free.then(|| Client(self))
    }

    /// Requests a pause, or ends it.
    pub fn ask_to_pause(&self, pause: bool) {
        self.board().pause = pause;
        self.changed.notify_all();
    }

    /// Requests that the run saves and stops, as Ctrl-C does.
    pub fn ask_to_stop(&self) {
        if !self.stop.swap(true, Ordering::Relaxed) {
            (self.say)("stopping after this step, as requested on the page");
        }
        self.changed.notify_all();
    }

    /// Waits until a change is signalled that clients should see at once, or for this long.
    pub fn wait(&self, moment: Duration) {
        let board = self.board();
        if board.ended.is_none() {
            drop(self.changed.wait_timeout(board, moment));
        }
    }

    /// The events that are new for a client, as server-sent events, and whether they are the last ones.
    pub fn news(&self, sent: &mut Sent) -> (String, bool) {
        let board = self.board();
        let state = board.state(self.stopping());
        let mut texts = Vec::new();
        for ((event, (version, text)), known) in EVENTS.iter().zip(&board.texts).zip(&mut sent.texts) {
            if let Some(text) = text.as_ref().filter(|_| version != known) {
                texts.push((event, Arc::clone(text)));
                *known = *version;
            }
        }
        let curve = board.curve.since(&mut sent.curve);
        let phases = board.phases.since(&mut sent.phases);
        let progress = board.progress;
        drop(board);
        let mut out = String::new();
        texts.iter().for_each(|(event, text)| write_event(&mut out, event, text));
        if let Some(tail) = curve {
            write_json(&mut out, "curve", &tail);
        }
        if let Some(tail) = phases {
            write_json(&mut out, "phases", &tail);
        }
        if let Some(progress) = progress.filter(|_| progress != sent.progress) {
            write_json(&mut out, "progress", &progress);
            sent.progress = Some(progress);
        }
        if sent.state != Some(state) {
            write_json(&mut out, "state", &state);
            sent.state = Some(state);
        }
        (out, matches!(state, LiveState::Ended(_)))
    }
}

impl Board {
    fn state(&self, stopping: bool) -> LiveState {
        match (self.ended, self.finishing, stopping, self.pause) {
            (Some(end), ..) => LiveState::Ended(end),
            (_, true, ..) => LiveState::Finishing,
            (_, _, true, _) => LiveState::Stopping,
            (_, _, _, true) if self.waiting => LiveState::Paused,
            (_, _, _, true) => LiveState::Pausing,
            _ if self.progress.is_none() => LiveState::Starting,
            _ => LiveState::Running,
        }
    }
}

fn write_json<T: Serialize>(out: &mut String, name: &str, value: &T) {
    write_event(out, name, &serde_json::to_string(value).expect("plain data have a JSON form"));
}

/// JSON has no line breaks, so one `data` line holds it.
fn write_event(out: &mut String, name: &str, json: &str) {
    for part in ["event: ", name, "\ndata: ", json, "\n\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Phase;

    fn hub() -> Hub {
        Hub::new(Arc::new(AtomicBool::new(false)), |_| {})
    }

    fn progress(step: u64) -> LiveProgress {
        LiveProgress {
            step,
            steps: 100,
            epoch: 0,
            epochs: 1,
            epoch_steps: 100,
            phase: Phase::Train,
            validated: [0, 10],
            learning_rate: 0.1,
            seconds: 0.0,
            images_per_second: None,
            seconds_left: None,
        }
    }

    fn names(news: &str) -> Vec<&str> {
        news.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
    }

    /// Whatever happened while a client was not reading, it gets each topic once, whole, in its latest version.
    #[test]
    fn a_slow_client_gets_the_latest_of_everything() {
        let (hub, mut sent) = (hub(), Sent::default());
        assert_eq!(hub.news(&mut sent).0, "event: state\ndata: \"starting\"\n\n");
        hub.begin(progress(0));
        for step in 0..5000 {
            hub.step(1.0, 0.5, progress(step + 1));
            hub.publish(Topic::Filters, &step);
        }
        let (news, last) = hub.news(&mut sent);
        assert_eq!(names(&news), ["filters", "curve", "progress", "state"]);
        assert!(news.contains("data: 4999\n") && news.contains("\"step\":5000,") && !last, "{news}");
        assert!(news.len() < 32_000, "{}", news.len());
        assert_eq!(hub.news(&mut sent), (String::new(), false));
        hub.step(2.0, 0.5, progress(5001));
        let (news, _) = hub.news(&mut sent);
        assert!(names(&news) == ["curve", "progress"] && news.len() < 500, "{news}");
        // A client that connects late has missed nothing.
        let (news, _) = hub.news(&mut Sent::default());
        assert_eq!(names(&news), ["filters", "curve", "progress", "state"]);
        assert!(news.contains("\"from\":0"));
    }

    #[test]
    fn the_state_is_what_the_training_thread_does() {
        let (hub, moment) = (hub(), Duration::from_millis(1));
        let state = || {
            let (news, last) = hub.news(&mut Sent::default());
            let (_, state) = news.rsplit_once("data: ").unwrap();
            (state.trim().trim_matches('"').to_owned(), last)
        };
        let is = |name: &str| assert_eq!(state(), (name.to_owned(), false));
        hub.begin(progress(0));
        is("running");
        hub.ask_to_pause(true);
        is("pausing");
        assert!(hub.pause(moment));
        is("paused");
        hub.ask_to_pause(false);
        assert!(!hub.pause(moment));
        is("running");
        // A stop ends a pause.
        hub.ask_to_pause(true);
        assert!(hub.pause(moment));
        hub.ask_to_stop();
        is("stopping");
        assert!(!hub.pause(moment));
        hub.end(RunEnd::Stopped, moment);
        assert_eq!(state(), ("stopped".to_owned(), true));
    }

    /// A stop does not cancel the work that is left after the last step.
    #[test]
    fn a_trained_run_finishes() {
        let (hub, moment) = (hub(), Duration::from_millis(1));
        hub.finishing();
        hub.ask_to_stop();
        assert!(hub.news(&mut Sent::default()).0.ends_with("\"finishing\"\n\n"));
        hub.end(RunEnd::Finished, moment);
        assert!(hub.news(&mut Sent::default()).0.ends_with("\"finished\"\n\n"));
    }

    #[test]
    fn places_for_clients_are_counted() {
        let hub = hub();
        assert!(!hub.watched());
        let mut clients: Vec<_> = (0..MOST_CLIENTS).map(|_| hub.client().unwrap()).collect();
        assert!(hub.client().is_none() && hub.watched());
        clients.pop();
        assert!(hub.client().is_some());
        clients.clear();
        assert!(!hub.watched());
    }
}
