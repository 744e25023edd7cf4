"use strict";
// Follows the run's events, shows its state, and requests pause, resume and stop.
(() => {
  const R = window.Receptive;
  const $ = (id) => document.getElementById(id);

  const WORDS = {
    connecting: "Connecting",
    starting: "Starting: loading the data",
    running: "Running",
    pausing: "Pausing after this step",
    paused: "Paused",
    stopping: "Stopping: writing the checkpoint",
    finishing: "Trained: running the final test and drawing pictures",
    finished: "Finished",
    stopped: "Stopped and saved",
    failed: "Ended with an error: see the terminal",
    lost: "Connection lost, trying again",
    full: "Too many pages follow this run, trying again",
    gone: "The run is no longer there",
  };
  const ENDED = ["finished", "stopped", "failed"];
  // Facts whose names the glossary explains.
  const [EPOCH, STEP, RATE] = [R.term("epoch"), R.term("step"), R.term("learning rate")];
  // Milliseconds to wait for an answer, and until a refused page tries again.
  const PATIENCE = 5000;

  let run = null;
  let progress = null;
  let state = "connecting";
  let curve = { start: 0, width: 1, points: [] };
  let phases = [];
  let curves = null;
  let layers = null;
  const filters = R.liveFilters($("filters"), $("filters-lead"));
  const answers = R.livePredictions($("predictions"), $("predictions-lead"));

  const show = (next) => {
    state = next;
    document.body.dataset.state = state;
    if ($("state").textContent !== WORDS[state]) $("state").textContent = WORDS[state];
    const validating = state === "running" && progress && progress.phase === "val";
    const [done, of] = validating ? progress.validated.map(R.thousands) : [];
    $("validating").textContent = validating ? `${done} of ${of} images validated` : "";
    const open = ["starting", "running", "pausing", "paused"].includes(state);
    $("pause").disabled = !open;
    $("stop").disabled = !open;
    $("pause").textContent = ["pausing", "paused"].includes(state) ? "Resume" : "Pause";
    if (state === "stopped" && run) $("note").textContent = `The terminal shows where the run is. To continue: receptive train --resume ${run.folder}`;
  };

  const time = (seconds) => {
    if (seconds === null || seconds === undefined) return "\u2013";
    const whole = Math.round(seconds);
    const two = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };

  const facts = () => {
    const { step, steps, epoch, epochs } = progress;
    const rate = progress.images_per_second;
    const left = ENDED.includes(state) || progress.seconds_left === null ? "" : `${time(progress.seconds_left)} left`;
    const last = phases.filter((p) => p.phase === "val").pop();
    const score = (v) => (run && run.score === "Dice" ? R.fixed(v, 3) : R.percent(v, 2));
    const entries = [
      ["epoch", EPOCH, Math.min(epoch + 1, epochs), `of ${R.thousands(epochs)}`],
      ["step", STEP, R.thousands(step), `of ${R.thousands(steps)}`],
      ["time", "time trained", time(progress.seconds), left],
      ["rate", "images per second", rate === null ? "\u2013" : R.thousands(Math.round(rate)), ""],
      ["learning-rate", RATE, R.number(progress.learning_rate, 3), ""],
      ["val", `validation ${run ? run.score : "score"}`, last ? score(last.score) : "\u2013", ""],
    ];
    const list = $("facts");
    for (const [name, title, value, more] of entries) {
      let dd = list.querySelector(`[data-fact="${name}"]`);
      if (!dd) {
        dd = R.el("dd", { "data-fact": name });
        list.append(R.el("div", {}, R.el("dt", {}, title), dd));
      }
      if (typeof title === "string") dd.previousSibling.textContent = title;
      dd.replaceChildren(`${value} `, R.el("small", {}, more));
    }
    $("done").value = steps ? step / steps : 0;
  };

  // Drawing waits for the next frame, so that many events are drawn together.
  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (progress) facts();
      if (curves && progress) curves.update({ curve, phases, epochSteps: progress.epoch_steps, steps: progress.steps });
    });
  };

  const on = {
    run(next) {
      run = next;
      R.report = next;
      document.title = `${run.model} on ${run.data}`;
      $("title").textContent = `${run.model} on ${run.data}`;
      $("about").textContent =
        `${R.thousands(run.parameters)} parameters, ${R.thousands(run.train_images)} training and ` +
        `${R.thousands(run.val_images)} validation images, ${run.batch_size} images per step, on ${run.device}; saved in the folder ${run.folder}`;
      curves = R.liveCurves($("curves"), $("curves-lead"), run.score);
      layers = R.liveLayers($("layers"), $("layers-lead"), run.health_every);
    },
    curve({ start, width, from, points }) {
      const before = width === curve.width ? curve.points.slice(0, from) : [];
      curve = { start, width, points: before.concat(points) };
      redraw();
    },
    phases(next) {
      phases = phases.slice(0, next.from).concat(next.phases);
      redraw();
    },
    progress(next) {
      progress = next;
      if (state === "running") show(state);
      redraw();
    },
    state(next) {
      // A paused run shows the facts of the step it stopped at.
      if (progress) facts();
      show(next);
      redraw();
      document.documentElement.dataset.ready = "true";
      if (ENDED.includes(next)) disconnect();
    },
    remark: (text) => ($("note").textContent = text),
    pictures: answers.pictures,
    predictions: answers.predictions,
    filters,
    health: (sample) => layers && layers(sample),
  };

  let events = null;
  let retry = 0;
  const disconnect = () => {
    clearTimeout(retry);
    if (events) events.close();
    events = null;
  };
  const connect = () => {
    disconnect();
    const source = new EventSource("events");
    for (const [name, hear] of Object.entries(on)) {
      source.addEventListener(name, (event) => hear(JSON.parse(event.data)));
    }
    source.addEventListener("error", () => (source.readyState === EventSource.CLOSED ? refused(source) : show("lost")));
    events = source;
  };

  // A refused EventSource gives up without saying why. Sending the same request by `fetch` shows the reason.
  const refused = async (source) => {
    const status = await fetch("events", { signal: AbortSignal.timeout(PATIENCE) })
      .then((answer) => answer.body.cancel().then(() => answer.status))
      .catch(() => null);
    if (events !== source) return;
    show({ 403: "gone", 503: "full" }[status] ?? "lost");
    if (state !== "gone") retry = setTimeout(connect, PATIENCE);
  };

  // A browser opens only six connections to one server. Hidden pages give theirs up for a visible one.
  const pages = new BroadcastChannel(`receptive ${location.pathname}`);
  pages.addEventListener("message", () => document.hidden && disconnect());
  const appear = () => {
    if (document.hidden || state === "gone" || ENDED.includes(state)) return;
    pages.postMessage("seen");
    if (!events) connect();
  };
  document.addEventListener("visibilitychange", appear);
  appear();

  const ask = async (what) => {
    $("note").textContent = "";
    try {
      const answer = await fetch(what, { method: "POST", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(`${answer.status}`);
    } catch (error) {
      const why = error.name === "TimeoutError" ? `no answer within ${PATIENCE / 1000} s` : error.message;
      $("note").textContent = `The run did not accept "${what}" (${why}).`;
    }
  };
  $("pause").addEventListener("click", () => ask(["pausing", "paused"].includes(state) ? "resume" : "pause"));
  $("stop").addEventListener("click", () => ask("stop"));
})();
