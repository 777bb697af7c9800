// The buttons of the gallery show one kind of preset, or all.
const buttons = document.querySelectorAll(".kinds button");

function show(kind) {
  for (const button of buttons) {
    button.setAttribute("aria-pressed", button.dataset.kind === kind);
  }
  for (const preset of document.querySelectorAll(".preset")) {
    preset.hidden = kind !== "all" && preset.dataset.kind !== kind;
  }
}

for (const button of buttons) {
  button.addEventListener("click", () => show(button.dataset.kind));
}
if (buttons.length) {
  show("all");
}
