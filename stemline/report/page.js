"use strict";
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const whenReady = (audio) => new Promise((go) => {
  if (audio.readyState >= 3 || audio.error) return go();
  for (const name of ["canplay", "error"]) audio.addEventListener(name, go, { once: true });
  if (audio.preload !== "auto") { audio.preload = "auto"; audio.load(); }
});
let playing = null;

function connectPlayer(player) {
  const rows = [...player.querySelectorAll(".stem")], audios = rows.map((row) => row.querySelector("audio"));
  const play = player.querySelector(".play"), seek = player.querySelector("input"), output = player.querySelector("output");
  const present = () => audios.filter((audio) => !audio.error);
  const show = (at) => {
    seek.value = at;
    output.value = `${clock(at)} / ${clock(seek.max)}`;
    player.style.setProperty("--at", seek.max > 0 ? at / seek.max : 0);
    player.classList.toggle("begun", at > 0);
  };
  const pause = () => {
    present().forEach((audio) => audio.pause());
    play.textContent = "Play all";
    if (playing === pause) playing = null;
  };
  const follow = () => {
    if (playing !== pause) return;
    const [leader, ...others] = present();
    if (!leader || leader.ended) { pause(); present().forEach((audio) => { audio.currentTime = 0; }); return show(0); }
    for (const audio of others) {
      // A player's clock is read in jumps: believe a lag once it lasts, and catch up by a little speed.
      const lag = leader.currentTime - audio.currentTime;
      audio.lag = Math.abs(lag) > 0.3 ? 0 : 0.7 * (audio.lag || 0) + 0.3 * lag;
      if (Math.abs(lag) > 0.3) audio.currentTime = leader.currentTime;
      audio.playbackRate = Math.abs(audio.lag) > 0.008 ? 1 + Math.max(-0.03, Math.min(0.03, audio.lag)) : 1;
    }
    show(leader.currentTime);
    setTimeout(follow, 200);
  };
  const start = async () => {
    if (playing) playing();
    playing = pause;
    play.textContent = "Pause";
    await Promise.all(audios.map(whenReady));
    if (playing !== pause) return;
    present().forEach((audio) => { audio.currentTime = Number(seek.value); });
    await Promise.all(present().map((audio) => audio.play().catch(pause)));
    follow();
  };
  const silence = () => {
    const isSolo = rows.some((row) => row.querySelector(".solo[aria-pressed=true]"));
    rows.forEach((row, index) => {
      const isOn = (name) => row.querySelector(name).getAttribute("aria-pressed") === "true";
      audios[index].muted = isSolo ? !isOn(".solo") : isOn(".mute");
      row.classList.toggle("muted", audios[index].muted);
    });
  };
  for (const button of player.querySelectorAll(".mute, .solo")) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      silence();
    });
  }
  audios.forEach((audio, index) => audio.addEventListener("error", () => rows[index].classList.add("missing")));
  const go = (at) => { present().forEach((audio) => { audio.currentTime = at; }); show(at); };
  seek.addEventListener("input", () => go(Number(seek.value)));
  for (const wave of player.querySelectorAll(".wave")) {
    wave.addEventListener("click", (event) => go(event.offsetX / wave.clientWidth * seek.max));
  }
  play.addEventListener("click", () => (playing === pause ? pause() : start()));
}

document.documentElement.classList.add("scripted");
document.querySelectorAll(".deck").forEach((player) => { if (player.querySelector(".play")) connectPlayer(player); });
