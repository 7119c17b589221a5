// The camera, whose view stands where the pictures stand until a photo is taken.

const $ = (id) => document.getElementById(id);

let stream = null;
let facing = "environment";
let turn = 0; // counts openings and closings: a stream that comes after a later one is let go

/** Ends when there is a view to take a photo of, or when the camera was closed or turned meanwhile. */
async function open() {
  closeCamera();
  const mine = turn;
  if (!navigator.mediaDevices) throw new Error("Browsers allow the camera on https pages only.");
  const video = { facingMode: facing, width: { ideal: 1920 }, height: { ideal: 1080 } };
  const found = await navigator.mediaDevices.getUserMedia({ video }).catch(() => null);
  if (mine !== turn) {
    end(found);
    return;
  }
  if (!found) throw new Error("There is no camera, or the browser may not use it.");
  stream = found;
  $("viewfinder").srcObject = stream;
  show(true);
  try {
    await $("viewfinder").play();
  } catch (error) {
    if (mine === turn) throw error;
  }
  if (mine !== turn) return;
  $("shoot").disabled = false;
  $("shoot").focus();
}

export function closeCamera() {
  turn += 1;
  end(stream);
  stream = null;
  $("shoot").disabled = true; // until there is a picture to take
  show(false);
}

function end(any) {
  any?.getTracks().forEach((track) => track.stop());
}

function show(filming) {
  $("stage").classList.toggle("filming", filming);
  $("shutter").hidden = !filming;
}

/**
 * Gives the buttons their work.
 *
 * attempt: runs a function and tells what it throws. take: called with the video when a photo is taken of it. closed:
 * called when the pictures are back.
 */
export function useCamera(attempt, take, closed) {
  const close = () => {
    closeCamera();
    closed();
    $("camera").focus();
  };
  $("camera").addEventListener("click", () => attempt(open));
  $("turn").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    attempt(open);
  });
  $("stop").addEventListener("click", close);
  $("shoot").addEventListener("click", () => {
    take($("viewfinder"));
    close();
  });
}
