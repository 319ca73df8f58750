"use strict";
{
  // All stems of a card start at one moment of one clock: what that clock tells is where they are, to the sample.
  const LEAD = 0.08, FADE = 0.01, STEP = 1;
  let context = null, playing = null;
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const isOn = (button) => button !== null && button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button && button.setAttribute("aria-pressed", String(on));

  const bytesOf = (url) => Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  const decode = (audio) => new Promise((done, failed) => {
    context.decodeAudioData(bytesOf(audio.getAttribute("src")).buffer, done, failed);
  });

  function connectDeck(deck) {
    const play = deck.querySelector(".play"), seek = deck.querySelector("input"), time = deck.querySelector(".time");
    const lanes = [...deck.querySelectorAll(".lane")].filter((lane) => lane.querySelector("audio")).map((lane) => ({
      lane, audio: lane.querySelector("audio"), mute: lane.querySelector(".mute"), solo: lane.querySelector(".solo"),
      isOriginal: lane.dataset.stem === "mix", buffer: null, source: null, gain: null,
    }));
    const length = Number(seek.max), start = Number(time.dataset.start);
    let position = 0, startedAt = null, isWanted = false;

    const place = () => (startedAt === null ? position
      : Math.min(Math.max(position + context.currentTime - startedAt, position), length));
    const show = () => {
      const at = place();
      seek.value = at;
      seek.setAttribute("aria-valuetext", `${clock(start + at)}, of ${clock(start)} to ${clock(start + length)}`);
      time.textContent = `${clock(start + at)} / ${clock(start + length)}`;
      deck.style.setProperty("--at", at / length);
      deck.classList.add("begun");
    };
    const label = (word) => {
      play.textContent = word;
      play.setAttribute("aria-label", `${word} ${deck.dataset.title}`);
    };

    const isHeard = (each) => {
      const isSolo = lanes.some((other) => isOn(other.solo));
      return isSolo ? isOn(each.solo) : !each.isOriginal && !isOn(each.mute);
    };
    const balance = () => {
      for (const each of lanes) {
        const level = isHeard(each) ? 1 : 0;
        each.lane.classList.toggle("muted", !level);
        if (each.gain) each.gain.gain.setTargetAtTime(level, context.currentTime, FADE / 3);
      }
    };

    const silence = (when) => {
      for (const each of lanes) {
        if (each.source) { each.source.onended = null; each.source.stop(when); }
        each.source = each.gain = null;
      }
    };
    const startAt = (at) => {
      const when = context.currentTime + LEAD;
      silence(when);
      for (const each of lanes) {
        each.gain = context.createGain();
        each.gain.gain.value = isHeard(each) ? 1 : 0;
        each.gain.connect(context.destination);
        each.source = context.createBufferSource();
        each.source.buffer = each.buffer;
        each.source.connect(each.gain);
      }
      for (const each of lanes) each.source.start(when, at);
      lanes[0].source.onended = () => { pause(); position = 0; show(); };
      position = at;
      startedAt = when;
      follow();
    };
    const pause = () => {
      position = place();
      if (startedAt !== null) silence(context.currentTime);
      startedAt = null;
      isWanted = false;
      label("Play");
      deck.classList.remove("playing");
      for (const each of lanes) each.buffer = null; // a card that rests holds no decoded sound
      if (playing === pause) playing = null;
      show();
    };
    const follow = () => {
      if (startedAt === null) return;
      show();
      requestAnimationFrame(follow);
    };
    const begin = async () => {
      if (playing) playing();
      playing = pause;
      isWanted = true;
      label("Pause");
      deck.classList.add("playing");
      context = context || new (window.AudioContext || window.webkitAudioContext)();
      try {
        await Promise.all([context.resume(), ...lanes.map(async (each) => { each.buffer = await decode(each.audio); })]);
      } catch {
        pause();
        time.textContent = "This browser does not decode it.";
        return;
      }
      if (isWanted && startedAt === null) startAt(position < length - 0.05 ? position : 0);
    };
    const go = (at) => {
      position = Math.min(Math.max(at, 0), length);
      if (startedAt !== null) startAt(position);
      show();
    };

    for (const each of lanes) {
      for (const button of [each.mute, each.solo]) {
        button?.addEventListener("click", () => {
          press(button, !isOn(button));
          // The original is all stems together: it is heard instead of them, never beside them.
          if (button === each.solo && isOn(button)) {
            for (const other of lanes) if (other.isOriginal !== each.isOriginal) press(other.solo, false);
          }
          balance();
        });
      }
      const wave = each.lane.querySelector(".wave");
      wave.addEventListener("click", (event) => go(event.offsetX / wave.clientWidth * length));
    }
    seek.addEventListener("input", () => go(Number(seek.value)));
    seek.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP }[event.key];
      if (!steps) return;
      event.preventDefault();
      go(place() + steps);
    });
    play.addEventListener("click", () => (playing === pause ? pause() : begin()));
    balance();
  }

  document.documentElement.classList.add("scripted");
  document.querySelectorAll(".deck").forEach((deck) => { if (deck.querySelector(".play")) connectDeck(deck); });
}
