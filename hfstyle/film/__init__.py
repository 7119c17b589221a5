"""Films: read, painted so that frames stay alike, written. Needs the packages of `pip install 'hfstyle[video]'`.

    from hfstyle import StyleTransferPipeline

    pipe = StyleTransferPipeline.from_pretrained()
    pipe.video("in.mp4", "painting.jpg", 0.8).save("out.mp4")

`paint` joins the others: `read` (a film's frames and facts), `write` (MP4, WebM, MKV, MOV, WebP) and `gif`, `sound`,
`segments` (a long film that can be gone on with), `keyframes`, `steady` (a painter that remembers the frame before) with
`flow` and `cuts`, and `live` (a camera). `animation` and `before_after` make films of pictures.
"""

from hfstyle.film.before_after import save_before_after
from hfstyle.film.errors import VideoError
from hfstyle.film.keyframes import Keyframe, parse_keyframes
from hfstyle.film.paint import PaintedFilm, stylize_video
from hfstyle.film.read import FilmFacts, Frame, film_facts, read_frames
from hfstyle.film.steady import Layers, SteadyPainter
from hfstyle.film.write import save_film

__all__ = [
    "FilmFacts",
    "Frame",
    "Keyframe",
    "Layers",
    "PaintedFilm",
    "SteadyPainter",
    "VideoError",
    "film_facts",
    "parse_keyframes",
    "read_frames",
    "save_before_after",
    "save_film",
    "stylize_video",
]
