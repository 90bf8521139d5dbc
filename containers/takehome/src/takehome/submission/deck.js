// A slide that holds more than fits gets smaller letters, down to half; what is longer still can be scrolled.
const fit = (slide) => {
  let size = 100;
  while (slide.scrollHeight > slide.clientHeight && size > 50) {
    size -= 4;
    slide.style.fontSize = `${size}%`;
  }
  slide.classList.toggle("long", slide.scrollHeight > slide.clientHeight);
};
const fitCurrent = ({ currentSlide }) => {
  if (!currentSlide.dataset.fitted && currentSlide.clientHeight) {
    currentSlide.dataset.fitted = "1";
    fit(currentSlide);
  }
};
Reveal.on("ready", fitCurrent);
Reveal.on("slidechanged", fitCurrent);
Reveal.initialize({
  width: 1120, height: 700, margin: 0.06, center: false, hash: true, slideNumber: "c/t", transition: "none",
  backgroundTransition: "none", controlsTutorial: false, scrollActivationWidth: 0, display: "block",
});
