import '../common/base.css';
import { render } from 'preact';
import { Topbar } from '../common/topbar.tsx';

const root = document.getElementById('app');
if (root !== null) render(<Topbar page="playground" />, root);
