import '../common/base.css';
import 'uplot/dist/uPlot.min.css';
import './console.css';
import { render } from 'preact';
import { Console } from './console.tsx';
import { followAddress } from './route.ts';
import { resume } from './session.ts';

followAddress();
await resume();
const root = document.getElementById('app');
if (root !== null) render(<Console />, root);
