import '../common/base.css';
import 'uplot/dist/uPlot.min.css';
import './playground.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { readLink } from './share.ts';
import { draft, loadModels, settings } from './state.ts';

const shared = readLink(location.hash);
if (shared !== undefined) {
  settings.value = shared.settings;
  draft.value = shared.questions.findLast((question) => question !== '') ?? '';
  history.replaceState(null, '', location.pathname);
}
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
void loadModels();
